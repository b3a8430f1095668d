"""What the registry's benchmarks share."""
