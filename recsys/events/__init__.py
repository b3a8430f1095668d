"""The event log, the order it implies, and the one fold from a user's slice of it to that user's feature row."""
