"""A single scorer on a workspace's validation targets, from arrays: neither feature store nor model plays a part.

What a context holds is the same as in the feature store (`prefix_contexts`), and the schema decides the protocol.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from recsys.context.batch import ContextBatch
from recsys.context.sequences import Sequences, prefix_contexts, ragged_ranges
from recsys.errors import DataError, TrainingError
from recsys.evaluation.cases import leave_one_out_cases
from recsys.evaluation.full_ranking import random_blocks
from recsys.evaluation.next_basket import basket_cases
from recsys.evaluation.protocol import MINIMUM_EVENTS, SplitName
from recsys.evaluation.target_sets import TargetSets
from recsys.evaluation.workspace_protocol import NEXT_BASKET, protocol_of
from recsys.metrics.basket import basket_metrics, padded_targets
from recsys.metrics.ranking import all_finite
from recsys.ranking.masks import seen_mask
from recsys.training.dataset import Dataset

SHOWN = ("ndcg@10", "hr@10")


@dataclass(frozen=True, slots=True)
class ArrayTargets:
    """Who is to be predicted what, as positions in sequences.

    Attributes:
        sequences: complete sequences, targets included.
        users: (targets,) int64 position of each user.
        known: (targets,) int64 how many of that user's first events are the context.
        sets: what is to be predicted.
        repeats: whether seen items stay in the ranking.
    """

    sequences: Sequences
    users: np.ndarray
    known: np.ndarray
    sets: TargetSets
    repeats: bool

    def __len__(self) -> int:
        return len(self.users)


def array_targets(dataset: Dataset, split: SplitName = "validation", *, at_most: int | None = None) -> ArrayTargets:
    """The targets of a split under the workspace's protocol.

    Args:
        dataset: the workspace's data.
        split: validation or test.
        at_most: only so many users, drawn at random, always the same ones; None takes all.

    Raises:
        DataError: nobody can be evaluated.
    """
    whole, baskets = dataset.sequences, protocol_of(dataset.schema) == NEXT_BASKET
    if baskets:
        found = basket_cases(whole, split)
        users, known, sizes = found.users, found.known, found.sizes
    else:
        single = leave_one_out_cases(whole, split)
        users, known, sizes = single.users, single.known, np.ones(len(single), np.int64)
    if not len(users):
        raise DataError(
            f"No user has {MINIMUM_EVENTS} positive events: nobody can be evaluated on the one held back. "
            "Import more events."
        )
    if at_most is not None and len(users) > at_most:
        rows = np.sort(np.random.default_rng(0).permutation(len(users))[:at_most])
        users, known, sizes = users[rows], known[rows], sizes[rows]
    items = whole.items[ragged_ranges(whole.offsets[users] + known, sizes)]
    distinct = np.unique(np.stack([np.repeat(np.arange(len(users)), sizes), items]), axis=1)
    columns = padded_targets(distinct[1] - 1, np.bincount(distinct[0], minlength=len(users)))
    sets = TargetSets(columns.numpy(), len(dataset.vocabulary), baskets)
    return ArrayTargets(whole, users, known, sets, dataset.schema.repeats)


def figures_of(
    scorer: Callable[[ContextBatch], Tensor],
    targets: ArrayTargets,
    *,
    history_length: int,
    profile: np.ndarray | None = None,
) -> dict[str, float]:
    """Means over users of the ranking figures: `ndcg@k`, `hr@k`, `mrr`, and `recall@k` where targets are baskets.

    Args:
        scorer: contexts to (batch, n_items) scores.
        targets: what is to be predicted.
        history_length: window of the history tensor.
        profile: (users, profile_width) float32 in the order of the sequences' users; None: nothing but events.

    Raises:
        TrainingError: a score is not finite.
    """
    ranks = np.empty(targets.sets.columns.shape, np.int64)
    profile = np.zeros((len(targets.sequences), 0), np.float32) if profile is None else profile
    n_items = targets.sets.n_items
    for rows in random_blocks(len(targets), n_items):
        users, known = targets.users[rows], targets.known[rows]
        context = prefix_contexts(targets.sequences, users, known, profile, history_length=history_length)
        with torch.no_grad():
            scores = scorer(context)
        if not all_finite(scores):
            raise TrainingError("A score is not finite (NaN or infinity): the evaluation stops rather than rank it.")
        seen = torch.zeros(len(rows), n_items, dtype=torch.bool) if targets.repeats else seen_mask(context, n_items)
        ranks[rows] = targets.sets.within(rows, seen).ranks(scores)
    return {
        name: value
        for name, value in basket_metrics(ranks).items()
        if targets.sets.baskets or not name.startswith("recall")
    }
