"""Ranks every target among the whole catalogue, for the model and for everything it is compared with, in one pass."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch

from recsys.context.batch import FeatureRow
from recsys.errors import TrainingError
from recsys.evaluation.baselines import Scorer
from recsys.metrics.ranking import target_ranks
from recsys.ranking.recommender import Recommender

MODEL = "model"
SHARED_BLEND = "shared blend"
EXPERT_PREFIX = "expert: "
_BLOCK = 256


def rank_targets(
    recommender: Recommender,
    rows: Sequence[FeatureRow],
    target_items: Sequence[str],
    baselines: Mapping[str, Scorer],
) -> dict[str, np.ndarray]:
    """The rank of each user's target under the model, the best shared blend, every expert alone and the baselines.

    Args:
        recommender: the model under test.
        rows: each evaluated user's context, as of strictly before the target.
        target_items: each user's target; one that the model does not know, or that may not be recommended because the
            user touched it before, ranks last.
        baselines: other scorers over the same vocabulary, by name.

    Returns:
        (users,) int64 ranks by scorer; 0 is best. Ties lose.

    Raises:
        TrainingError: a score is not finite.
    """
    n_items = len(recommender.vocabulary)
    ranks: dict[str, list[np.ndarray]] = {}
    for start in range(0, len(rows), _BLOCK):
        block = rows[start : start + _BLOCK]
        indices = recommender.encoder.item_indices(target_items[start : start + _BLOCK])
        targets = torch.from_numpy(np.maximum(indices, 1) - 1)
        context = recommender.encoder.encode(block)
        scored = recommender.model.forward(context)
        masked = recommender.mask(context)
        possible = (indices > 0) & ~masked.gather(1, targets[:, None])[:, 0].numpy()
        names = recommender.model.network.names
        scores = {
            MODEL: scored.scores,
            SHARED_BLEND: recommender.model.shared_scores(scored.outputs),
            **{f"{EXPERT_PREFIX}{name}": scored.outputs.scores[:, i] for i, name in enumerate(names)},
            **{name: scorer(context) for name, scorer in baselines.items()},
        }
        for name, own in scores.items():
            try:
                found = target_ranks(own, targets, masked)
            except ValueError as error:
                raise TrainingError(f"The scorer '{name}' gave a score that is not finite: {error}") from error
            ranks.setdefault(name, []).append(np.where(possible, found, n_items))
    return {name: np.concatenate(blocks) for name, blocks in ranks.items()}
