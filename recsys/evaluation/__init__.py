"""How good a model is, under one stated protocol, beside its baselines."""
