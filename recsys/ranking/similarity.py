"""Items like an item, by the vectors that the body learned."""

from __future__ import annotations

import torch
from torch import Tensor

from recsys.ranking.top_k import top_k


def nearest(vectors: Tensor, index: int, k: int, allowed: Tensor | None = None) -> tuple[list[int], list[float]]:
    """The items whose vectors point the most in an item's direction.

    Args:
        vectors: (n_items + 1, width) of length one; row 0 is padding.
        index: the item's index, at least 1.
        k: how many, at least 1.
        allowed: (n_items,) bool, what may be named; None is everything.

    Returns:
        Columns (index - 1) and cosines, most alike first, ties in the vocabulary's order; the item itself is left out.
    """
    cosines = vectors[1:] @ vectors[index]
    hidden = torch.zeros(len(cosines), dtype=torch.bool) if allowed is None else ~allowed
    hidden[index - 1] = True
    values, columns = top_k(cosines.masked_fill(hidden, -torch.inf)[None], min(k, len(cosines)))
    n = int(torch.isfinite(values).sum())
    return columns[0, :n].tolist(), values[0, :n].tolist()
