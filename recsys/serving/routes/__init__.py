"""The routes beside recommendations, events and health; one file a subject, with what it takes and what it answers."""
