"""From feature rows to context tensors: the same encoder for training, batch, online and notebooks."""
