"""Popularity: how many events of each item there are, the same for everyone."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from recsys.context.batch import ContextBatch
from recsys.context.sequences import Sequences
from recsys.evaluation.cases import Scorer


def popularity_scorer(train: Sequences, n_items: int) -> Scorer:
    """Scores every item with the logarithm of one plus its number of training events."""
    counts = torch.from_numpy(np.log1p(np.bincount(train.items - 1, minlength=n_items)).astype(np.float32))

    def score(context: ContextBatch) -> Tensor:
        return counts.expand(len(context), -1)

    return score


def with_fallback(scorer: Scorer, fallback: Scorer) -> Scorer:
    """The scorer, but the fallback for contexts in which nothing was seen: what anybody would deploy it with."""

    def score(context: ContextBatch) -> Tensor:
        empty = context.seen_offsets.diff() == 0
        scores = scorer(context)
        return torch.where(empty[:, None], fallback(context), scores) if bool(empty.any()) else scores

    return score
