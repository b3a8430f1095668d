"""What callers send and get: typed requests and replies, with examples."""
