"""Recommendations for many users at once: contexts as of one moment, Ray Data actors, atomic parquet partitions."""
