"""Data sets in: what a workspace's data mean, how files become canonical frames, and the catalogue they leave."""
