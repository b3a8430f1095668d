"""Which model answers whom, and what is kept of it."""
