"""What every user shares: experts that score items for a context, each behind one protocol."""
