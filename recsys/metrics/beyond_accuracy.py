"""What a set of recommendation lists is like, whoever is right: how much of the catalogue, how obscure, how alike."""

from __future__ import annotations

import numpy as np
from scipy.stats import rankdata


def coverage(recommended: np.ndarray) -> float:
    """The share of the catalogue that is in at least one list.

    Args:
        recommended: (n_items,) in how many lists each item is.
    """
    return float((recommended > 0).mean())


def novelty(recommended: np.ndarray, training_counts: np.ndarray) -> float:
    """Mean self-information of a recommended item in bits: how surprising it is to somebody who knows what is popular.

    An item's probability is its share of the training events, each item counted once more than it occurs, so that an
    item without events is obscure and not infinitely so.

    Args:
        recommended: (n_items,) in how many lists each item is.
        training_counts: (n_items,) training events of each item.

    Source: Zhou et al., "Solving the apparent diversity-accuracy dilemma", PNAS 2010 (there over users).
    """
    shares = (training_counts + 1.0) / (training_counts.sum() + len(training_counts))
    return _mean_over(recommended, -np.log2(shares))


def popularity_percentiles(training_counts: np.ndarray) -> np.ndarray:
    """(n_items,) the share of the catalogue that is less popular than an item, its equals counted half: in (0, 1)."""
    percentiles: np.ndarray = (rankdata(training_counts) - 0.5) / len(training_counts)
    return percentiles


def mean_popularity(chosen: np.ndarray, training_counts: np.ndarray) -> float:
    """Mean popularity percentile of chosen items.

    Args:
        chosen: (n_items,) how often each item was chosen: recommended, or what users took.
        training_counts: (n_items,) training events of each item.
    """
    return _mean_over(chosen, popularity_percentiles(training_counts))


def mean_overlap(lists: np.ndarray, pairs: np.ndarray) -> float:
    """Mean Jaccard similarity of pairs of lists: 0 is nothing in common, 1 the same items.

    Args:
        lists: (users, k) int64 items without repetition; negative where a list is shorter.
        pairs: (pairs, 2) int64 which lists to compare. Two empty lists have nothing in common.
    """
    first, second = lists[pairs[:, 0]], lists[pairs[:, 1]]
    common = ((first[:, :, None] == second[:, None, :]) & (first >= 0)[:, :, None]).sum((1, 2))
    union = (first >= 0).sum(1) + (second >= 0).sum(1) - common
    return float((common / np.maximum(union, 1)).mean())


def _mean_over(times: np.ndarray, values: np.ndarray) -> float:
    return float(times @ values / max(times.sum(), 1))
