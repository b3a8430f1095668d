"""Flows of several jobs: what people and schedulers run. Thin: each step is one call into `recsys.jobs`."""
