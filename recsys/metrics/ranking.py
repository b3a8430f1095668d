"""Ranking metrics under full ranking with one target a user. Plain functions; they know nothing of models."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def target_ranks(scores: Tensor, targets: Tensor, masked: Tensor) -> np.ndarray:
    """The rank of each target among all unmasked items; ties lose.

    Args:
        scores: (batch, n_items) float.
        targets: (batch,) int64 column of the target.
        masked: (batch, n_items) bool, True for items that may not be recommended. A target is never masked.

    Returns:
        (batch,) int64: the number of other unmasked items scored at or above the target. 0 is the best rank.

    Raises:
        ValueError: a score is not finite.
    """
    if not all_finite(scores):
        raise ValueError("The scores hold NaN or infinity; the evaluation stops rather than rank them.")
    own = scores.gather(1, targets[:, None])
    ahead = (scores >= own) & ~masked
    ahead.scatter_(1, targets[:, None], value=False)
    return ahead.sum(1).numpy()


def all_finite(scores: Tensor) -> bool:
    """Whether no score is NaN or infinite; a finite sum, which is quick to take, says so already."""
    return bool(torch.isfinite(scores.sum())) or bool(torch.isfinite(scores).all())


def ndcg(ranks: np.ndarray, k: int) -> np.ndarray:
    """(batch,) NDCG@k with one relevant item: 1 / log2(rank + 2) within the first k, else 0."""
    return np.where(ranks < k, 1 / np.log2(ranks + 2.0), 0.0)


def hit_rate(ranks: np.ndarray, k: int) -> np.ndarray:
    """(batch,) 1 where the target is within the first k, else 0."""
    return (ranks < k).astype(np.float64)


def reciprocal_rank(ranks: np.ndarray) -> np.ndarray:
    """(batch,) 1 / (rank + 1)."""
    return 1 / (ranks + 1.0)


def ranking_metrics(ranks: np.ndarray, cutoffs: tuple[int, ...] = (5, 10, 20, 50)) -> dict[str, float]:
    """Means over users: `ndcg@k` and `hr@k` for each cutoff, and `mrr`."""
    metrics: dict[str, float] = {}
    for k in cutoffs:
        metrics[f"ndcg@{k}"] = float(ndcg(ranks, k).mean())
        metrics[f"hr@{k}"] = float(hit_rate(ranks, k).mean())
    metrics["mrr"] = float(reciprocal_rank(ranks).mean())
    return metrics
