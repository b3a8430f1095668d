"""How much heads differ between users, and whom to swap them with. Plain functions on arrays."""

from __future__ import annotations

import numpy as np

_NO_SPREAD = 1e-9


def effective_rank(weights: np.ndarray) -> float:
    """In how many directions rows differ: the exponential of the entropy of the normalised singular values.

    Args:
        weights: (rows, numbers); their mean is taken off first.

    Returns:
        1 where rows differ along one line, at most the smaller of the two sizes; 0 where they do not differ at all.

    Source: Roy & Vetterli, "The effective rank", EUSIPCO 2007.
    """
    centred = weights.astype(np.float64) - weights.mean(axis=0, dtype=np.float64)
    values = np.linalg.svd(centred, compute_uv=False)
    if not values.size or values[0] <= _NO_SPREAD * max(1.0, np.abs(weights).max()):
        return 0.0
    shares = values[values > 0] / values.sum()
    return float(np.exp(-(shares * np.log(shares)).sum()))


def derangement(n: int, rng: np.random.Generator) -> np.ndarray:
    """(n,) int64: a random permutation that leaves nobody in place.

    Args:
        n: at least 2.
        rng: source of randomness.

    Raises:
        ValueError: one alone has nobody to swap with.
    """
    if n < 2:
        raise ValueError(f"{n} cannot be deranged; it takes two.")
    order = rng.permutation(n)
    swapped = np.empty(n, dtype=np.int64)
    swapped[order] = np.roll(order, 1)
    return swapped


def sampled_pairs(n: int, limit: int, rng: np.random.Generator) -> np.ndarray:
    """(pairs, 2) int64 of two different numbers below n, drawn at random, `limit` of them; none where n is below 2."""
    if n < 2:
        return np.zeros((0, 2), dtype=np.int64)
    first = rng.integers(0, n, limit)
    return np.stack([first, (first + rng.integers(1, n, limit)) % n], axis=1)
