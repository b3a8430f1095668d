"""Plain functions on arrays: ranking quality, calibration, what lists are like, how much heads differ."""
