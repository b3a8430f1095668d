"""From contexts to rankings: the one way that evaluation, batch, serving and notebooks share."""
