"""Snapshots, the runs they came from, and which of them is the champion."""
