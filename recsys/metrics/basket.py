"""Ranking metrics under full ranking where a user's target is a set of items. Plain functions; they know no models."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

PADDING = -1


def padded_targets(columns: np.ndarray, sizes: np.ndarray) -> Tensor:
    """Target sets of different sizes as one tensor.

    Args:
        columns: (total,) int64 score columns, set after set, distinct within a set. A column beyond the scores stands
            for an item that the scorer does not know.
        sizes: (batch,) int64 how many columns each set has.

    Returns:
        (batch, largest size) int64, padded with PADDING.
    """
    padded = np.full((len(sizes), int(sizes.max(initial=0))), PADDING, np.int64)
    padded[np.arange(padded.shape[1]) < sizes[:, None]] = columns
    return torch.from_numpy(padded)


def basket_ranks(scores: Tensor, targets: Tensor) -> np.ndarray:
    """The ranks of each target set among all items; ties lose.

    The best target's rank is the number of items outside the set scored at or above it, the second best's that number
    for it plus one, and so on: the ranking in which every tie goes against the set.

    Args:
        scores: (batch, n_items) float.
        targets: (batch, most) int64 columns, see `padded_targets`.

    Returns:
        (batch, most) int64, best target first, 0 is the best rank; n_items for a target that the scorer does not know,
        PADDING beyond the set's size.

    Raises:
        ValueError: a score is not finite.
    """
    if not bool(torch.isfinite(scores).all()):
        raise ValueError("The scores hold NaN or infinity; the evaluation stops rather than rank them.")
    n_items = scores.shape[1]
    known = (targets >= 0) & (targets < n_items)
    at = torch.where(known, targets, n_items)
    room = torch.cat([scores, scores.new_full((len(scores), 1), -torch.inf)], 1)
    own, order = room.gather(1, at).sort(1)  # the worst target first
    others = room.scatter(1, at, -torch.inf)[:, :n_items].contiguous()
    beaten = torch.searchsorted(own, others, right=True)  # how many targets each other item is ahead of
    counts = beaten.new_zeros(len(scores), own.shape[1] + 1).scatter_add_(1, beaten, torch.ones_like(beaten))
    ahead = counts.flip(1).cumsum(1)[:, :-1]
    ranks = ahead + torch.arange(targets.shape[1])
    ranks = torch.where(known.gather(1, order.flip(1)), ranks, n_items)
    sizes = (targets != PADDING).sum(1, keepdim=True)
    return torch.where(torch.arange(targets.shape[1]) < sizes, ranks, PADDING).numpy()


def basket_recall(ranks: np.ndarray, k: int) -> np.ndarray:
    """(batch,) recall@k: the share of the set within the first k.

    Args:
        ranks: (batch, most) as `basket_ranks` returns them; no set is empty.
        k: cutoff.
    """
    share: np.ndarray = ((ranks >= 0) & (ranks < k)).sum(1) / (ranks >= 0).sum(1)
    return share


def basket_ndcg(ranks: np.ndarray, k: int) -> np.ndarray:
    """(batch,) NDCG@k: Σ 1 / log2(rank + 2) within the first k, over that of a ranking that starts with the set.

    Args:
        ranks: (batch, most) as `basket_ranks` returns them; no set is empty.
        k: cutoff.
    """
    found = (ranks >= 0) & (ranks < k)
    gains = np.where(found, 1 / np.log2(np.maximum(ranks, 0) + 2.0), 0.0).sum(1)
    ideal = np.cumsum(1 / np.log2(np.arange(k) + 2.0))
    ndcg: np.ndarray = gains / ideal[np.minimum((ranks >= 0).sum(1), k) - 1]
    return ndcg


def basket_hit_rate(ranks: np.ndarray, k: int) -> np.ndarray:
    """(batch,) 1 where any of the set is within the first k, else 0.

    Args:
        ranks: (batch, most) as `basket_ranks` returns them; no set is empty.
        k: cutoff.
    """
    return (ranks[:, 0] < k).astype(np.float64)


def basket_reciprocal_rank(ranks: np.ndarray) -> np.ndarray:
    """(batch,) 1 / (rank + 1) of the best-ranked of the set."""
    return 1 / (ranks[:, 0] + 1.0)


def basket_auc(ranks: np.ndarray, candidates: np.ndarray) -> np.ndarray:
    """(batch,) the mean over the set of the share of items outside it that a target is ahead of; ties count as lost.

    Its mean is the GAUC with every user counting once; a constant scorer gets 0, not 0.5.

    Args:
        ranks: (batch, most) as `basket_ranks` returns them; no set is empty.
        candidates: (batch,) items that may be recommended, the set among them.
    """
    there = ranks >= 0
    sizes = there.sum(1)
    outside = np.maximum(candidates - sizes, 1)[:, None]
    share = np.clip(1 - (ranks - np.arange(ranks.shape[1])) / outside, 0, 1)
    auc: np.ndarray = np.where(there, share, 0.0).sum(1) / sizes
    return auc


def basket_log_loss(scores: Tensor, targets: Tensor) -> np.ndarray:
    """(batch,) nats: the mean over the set of minus the log of a target's share of the softmax.

    Args:
        scores: (batch, n_items) logits, minus infinity for items that may not be recommended.
        targets: (batch, most) int64 columns. What the scorer does not know or may not recommend is left out of the
            mean, which is infinite where nothing is left.
    """
    logits = scores.double()
    n_items = logits.shape[1]
    shares = logits.gather(1, targets.clamp(0, n_items - 1)) - logits.logsumexp(1, keepdim=True)
    counted = (targets >= 0) & (targets < n_items) & torch.isfinite(shares)
    losses = -torch.where(counted, shares, 0.0).sum(1) / counted.sum(1)
    return torch.where(counted.any(1), losses, torch.inf).numpy()


def basket_figures(ranks: np.ndarray, cutoffs: tuple[int, ...] = (5, 10, 20, 50)) -> dict[str, np.ndarray]:
    """(batch,) arrays: `ndcg@k`, `hr@k` and `recall@k` for each cutoff, and `mrr` of the best-ranked of the set."""
    figures: dict[str, np.ndarray] = {}
    for k in cutoffs:
        figures[f"ndcg@{k}"] = basket_ndcg(ranks, k)
        figures[f"hr@{k}"] = basket_hit_rate(ranks, k)
        figures[f"recall@{k}"] = basket_recall(ranks, k)
    return figures | {"mrr": basket_reciprocal_rank(ranks)}


def basket_metrics(ranks: np.ndarray, cutoffs: tuple[int, ...] = (5, 10, 20, 50)) -> dict[str, float]:
    """Means over users of `basket_figures`."""
    return {name: float(values.mean()) for name, values in basket_figures(ranks, cutoffs).items()}
