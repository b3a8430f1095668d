"""Plain functions on arrays: ranking quality under full ranking."""
