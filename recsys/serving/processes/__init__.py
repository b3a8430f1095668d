"""Processes that listen: one, or several workers."""
