"""Fitting: the body's loop (which knows nothing of Ray), its distribution, the generator's stages."""
