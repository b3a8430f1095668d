"""What a recommender must beat: popularity and EASE, each tuned on validation only."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from recsys.context.batch import ContextBatch
from recsys.context.sequences import Sequences, prefix_contexts
from recsys.experts.long_term import LongTermConfig, LongTermMemory, fit_long_term_memory
from recsys.metrics.ranking import ndcg, target_ranks
from recsys.ranking.masks import seen_mask

Scorer = Callable[[ContextBatch], Tensor]

EASE_RIDGES = (30.0, 100.0, 300.0, 1000.0)
LARGE_CATALOGUE_RIDGES = (100.0, 300.0)
_LARGE_CATALOGUE = 6_000
_BLOCK = 512


@dataclass(frozen=True, slots=True)
class TunedEase:
    """EASE with the ridge that was best on validation.

    Attributes:
        expert: fitted on the training sequences, fed the complete history.
        ridge: the chosen one.
        tried: validation NDCG@10 of every ridge.
    """

    expert: LongTermMemory
    ridge: float
    tried: dict[float, float]


def tune_ease(whole: Sequences, train: Sequences, n_items: int, *, repeats: bool) -> TunedEase:
    """Fits EASE with each ridge of a grid and keeps the best on each user's second last event.

    Args:
        whole: complete sequences; the validation target is the event after the training ones.
        train: training sequences of the same users.
        n_items: size of the vocabulary.
        repeats: whether seen items stay in the ranking.
    """
    ridges = EASE_RIDGES if n_items <= _LARGE_CATALOGUE else LARGE_CATALOGUE_RIDGES
    tried: dict[float, float] = {}
    best: TunedEase | None = None
    for ridge in ridges:
        expert = fit_long_term_memory(train, n_items, LongTermConfig(ridge=ridge, decay=1.0))
        tried[ridge] = _validation_ndcg(expert.score, whole, train, n_items, repeats=repeats)
        if best is None or tried[ridge] > tried[best.ridge]:
            best = TunedEase(expert, ridge, tried)
    assert best is not None
    return best


def _validation_ndcg(scorer: Scorer, whole: Sequences, train: Sequences, n_items: int, *, repeats: bool) -> float:
    evaluated = np.flatnonzero(whole.lengths > train.lengths)
    gains = []
    for start in range(0, len(evaluated), _BLOCK):
        users = evaluated[start : start + _BLOCK]
        known = train.lengths[users]
        context = prefix_contexts(whole, users, known, np.zeros((len(whole), 0), np.float32), history_length=1)
        targets = torch.from_numpy(whole.items[whole.offsets[users] + known] - 1)
        masked = torch.zeros(len(users), n_items, dtype=torch.bool) if repeats else seen_mask(context, n_items)
        gains.append(ndcg(target_ranks(scorer(context), targets, masked), 10))
    return float(np.concatenate(gains).mean())
