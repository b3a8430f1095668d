"""The search for settings: what may change, one trial of it, and many trials on Ray Tune. Validation only."""
