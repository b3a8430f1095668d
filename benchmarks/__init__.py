"""Benchmarks: each measures what we have beside its peers in one run and writes results files that are committed."""
