"""Scores the whole catalogue block by block, for the model and for everything it is compared with, in one pass.

A block knows no target: what is ranked in it is `target_sets`' business.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from recsys.context.batch import ContextBatch, FeatureRow
from recsys.errors import TrainingError
from recsys.evaluation.baselines import Scorer
from recsys.evaluation.target_sets import Target, TargetSets
from recsys.metrics.ranking import all_finite
from recsys.model.personal import Scored
from recsys.ranking.recommender import Recommender

MODEL = "model"
SHARED_BLEND = "shared blend"
EXPERT_PREFIX = "expert: "
_LARGEST_BLOCK = 256
_CELLS = 4_000_000
"""Scores of one scorer held at once; blocks of a large catalogue are smaller."""

Controls = Callable[[ContextBatch, Scored], Mapping[str, Tensor]]
"""More scores of a block, made of what the model gave: for example under other users' heads."""
Histories = Callable[[np.ndarray], ContextBatch]
"""Positions of users to contexts that hold their complete histories, past the window of the model."""


@dataclass(frozen=True, slots=True)
class ScoredBlock:
    """Some users' scores of the whole catalogue.

    Attributes:
        users: (batch,) int64 positions in the rows that were asked for.
        masked: (batch, n_items) bool: what may not be recommended.
        basket_sizes: (batch,) usual size of each context's baskets; 1 where there are none.
        scored: the model's forward pass.
        scores: (batch, n_items) of each scorer, by name; all finite.
    """

    users: np.ndarray
    masked: Tensor
    basket_sizes: np.ndarray
    scored: Scored
    scores: Mapping[str, Tensor]


def scored_blocks(
    recommender: Recommender,
    rows: Sequence[FeatureRow],
    baselines: Mapping[str, Scorer],
    controls: Controls | None = None,
    histories: Histories | None = None,
) -> Iterator[ScoredBlock]:
    """Every user once, in a fixed random order, so that each block is a random sample of the users.

    Args:
        recommender: the model under test; beside it its shared blend and each of its experts alone are scored.
        rows: each user's context.
        baselines: other scorers over the same vocabulary, by name.
        controls: gives more scores of a block.
        histories: what baselines read instead of the model's contexts; None for the same.

    Raises:
        TrainingError: a score is not finite.
    """
    names = recommender.model.network.said_alone
    for users in random_blocks(len(rows), len(recommender.vocabulary)):
        context = recommender.encoder.encode([rows[user] for user in users])
        told = histories(users) if histories else context
        scored = recommender.model.forward(context)
        scores = {
            MODEL: scored.scores,
            SHARED_BLEND: recommender.model.shared_scores(scored.outputs),
            **{f"{EXPERT_PREFIX}{name}": scored.outputs.scores[:, i] for i, name in enumerate(names)},
            **{name: scorer(told) for name, scorer in baselines.items()},
            **(controls(context, scored) if controls else {}),
        }
        for name, own in scores.items():
            if not all_finite(own):
                raise TrainingError(
                    f"The scorer '{name}' gave a score that is not finite (NaN or infinity): the evaluation stops "
                    "rather than rank it. Train again; if it happens again, look at that scorer's inputs."
                )
        yield ScoredBlock(users, recommender.mask(context), recommender.basket_sizes(context), scored, scores)


def random_blocks(users: int, n_items: int) -> list[np.ndarray]:
    """Positions of users in a fixed random order, cut into blocks of nearly one size; none of one user beside others.

    Args:
        users: how many there are.
        n_items: size of the catalogue; the larger, the smaller the blocks.
    """
    size = min(_LARGEST_BLOCK, max(_CELLS // n_items, 3))
    return np.array_split(np.random.default_rng(0).permutation(users), -(-users // size)) if users else []


def rank_targets(
    recommender: Recommender,
    rows: Sequence[FeatureRow],
    targets: Sequence[Target],
    baselines: Mapping[str, Scorer],
) -> dict[str, np.ndarray]:
    """The rank of each user's target under the model, the best shared blend, every expert alone and the baselines.

    Args:
        recommender: the model under test.
        rows: each evaluated user's context, as of strictly before the target.
        targets: each user's target, an item or a basket; an item that the model does not know, or that may not be
            recommended because the user touched it before, ranks last.
        baselines: other scorers over the same vocabulary, by name.

    Returns:
        (users,) int64 ranks by scorer, of the best-ranked item of a basket; 0 is best. Ties lose.

    Raises:
        TrainingError: a score is not finite.
    """
    return {name: ranks[:, 0] for name, ranks in rank_sets(recommender, rows, targets, baselines).items()}


def rank_sets(
    recommender: Recommender,
    rows: Sequence[FeatureRow],
    targets: Sequence[Target],
    baselines: Mapping[str, Scorer],
) -> dict[str, np.ndarray]:
    """The same with the rank of every item of a basket: (users, largest basket) int64, as `basket_ranks` has them."""
    sets = TargetSets.of(targets, recommender.encoder)
    ranks: dict[str, np.ndarray] = {}
    for block in scored_blocks(recommender, rows, baselines):
        own = sets.within(block.users, block.masked)
        for name, scores in block.scores.items():
            ranks.setdefault(name, np.empty(sets.columns.shape, dtype=np.int64))[block.users] = own.ranks(scores)
    return ranks
