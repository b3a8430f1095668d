"""Lists whose items differ from each other: maximal marginal relevance over the model's best items.

Source: Carbonell and Goldstein, The use of MMR (SIGIR 1998).
"""

from __future__ import annotations

import torch
from torch import Tensor

POOL = 1_000
"""At most so many of the best items are put in another order; those after them keep the model's."""
_AT_LEAST = 100
_TIMES_K = 5


def pool_size(k: int, n_items: int) -> int:
    """How many of the best items a list of k is chosen among: five times as many, at least 100, at most 1,000."""
    return min(n_items, max(k, min(POOL, max(_AT_LEAST, _TIMES_K * k))))


def diverse_order(scores: Tensor, vectors: Tensor, k: int, diversity: float) -> Tensor:
    """Which items to show, one after the other.

    Each place goes to the item with the largest (1 - diversity) * relevance - diversity * likeness: relevance is its
    score between 0 (worst of the pool) and 1 (best), likeness its largest cosine with what is shown already.

    Args:
        scores: (pool,) finite, best first.
        vectors: (pool, width) of length one, or zero.
        k: how many.
        diversity: 0 keeps the order, 1 looks at nothing but likeness after the first item.

    Returns:
        (min(k, pool),) int64 positions in the pool; ties go to the better score.
    """
    n_mixed = min(len(scores), POOL)
    relevance = scores[:n_mixed] - scores[:n_mixed].min()
    relevance = (1 - diversity) * relevance / relevance.max().clamp(min=1e-12)
    likeness = torch.full((n_mixed,), -1.0)  # the same for all, so that the first place goes to the best score
    left = torch.ones(n_mixed, dtype=torch.bool)
    chosen: list[int] = []
    for _ in range(min(k, n_mixed)):
        best = int(torch.where(left, relevance - diversity * likeness, -torch.inf).argmax())
        chosen.append(best)
        left[best] = False
        likeness = torch.maximum(likeness, vectors[:n_mixed] @ vectors[best])
    return torch.tensor([*chosen, *range(n_mixed, min(k, len(scores)))], dtype=torch.int64)
