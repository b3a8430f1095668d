"""One evaluation of one model on one split: contexts through the feature store, ranks, metrics."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from recsys.context.reader import ContextReader
from recsys.evaluation.baselines import Scorer
from recsys.evaluation.full_ranking import rank_targets
from recsys.evaluation.protocol import Split
from recsys.metrics.ranking import ranking_metrics
from recsys.ranking.recommender import Recommender


def evaluate_split(
    recommender: Recommender, reader: ContextReader, split: Split, baselines: Mapping[str, Scorer]
) -> dict[str, dict[str, float]]:
    """Metrics by scorer: the model, the shared blend, each expert alone, and the baselines.

    Args:
        recommender: the model under test.
        reader: gives each user's context strictly before the target.
        split: who is evaluated on what.
        baselines: other scorers over the same vocabulary, by name.
    """
    rows = reader.as_of(split.user_ids, split.moments)
    ranks: dict[str, np.ndarray] = rank_targets(recommender, rows, split.target_items, baselines)
    return {name: ranking_metrics(own) for name, own in ranks.items()}
