"""Measurements of the feature store: latency of reads, contention, freshness, growth."""
