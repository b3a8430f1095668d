"""One evaluation of one model on one split: contexts through the feature store, scores, figures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from recsys.context.reader import ContextReader
from recsys.evaluation.baselines import Scorer
from recsys.evaluation.calibrated import calibration_section
from recsys.evaluation.comparisons import best_of, comparison_section
from recsys.evaluation.full_ranking import Histories, rank_sets
from recsys.evaluation.groups import group_section
from recsys.evaluation.measurement import Measured, measure
from recsys.evaluation.next_basket import BasketSplit
from recsys.evaluation.personalisation import personalisation_section
from recsys.evaluation.protocol import Split
from recsys.metrics.basket import basket_metrics
from recsys.metrics.beyond_accuracy import coverage, mean_popularity, novelty
from recsys.ranking.recommender import Recommender


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What an evaluation found.

    Attributes:
        metrics: figures by scorer.
        sections: `comparisons`, `groups`, `calibration` and `personalisation`, as plain values.
    """

    metrics: Mapping[str, Mapping[str, float]]
    sections: Mapping[str, Any]


def evaluate_split(
    recommender: Recommender, reader: ContextReader, split: Split | BasketSplit, baselines: Mapping[str, Scorer]
) -> dict[str, dict[str, float]]:
    """Ranking metrics by scorer: the model, the shared blend, each expert alone, and the baselines.

    Args:
        recommender: the model under test.
        reader: gives each user's context strictly before the target.
        split: who is evaluated on what.
        baselines: other scorers over the same vocabulary, by name.
    """
    rows = reader.as_of(split.user_ids, split.moments)
    ranks = rank_sets(recommender, rows, split.target_items, baselines)
    kept = ("ndcg", "hr", "mrr", *(("recall",) if isinstance(split, BasketSplit) else ()))
    return {
        name: {metric: value for metric, value in basket_metrics(own).items() if metric.startswith(kept)}
        for name, own in ranks.items()
    }


def evaluate_in_full(
    recommender: Recommender,
    reader: ContextReader,
    split: Split | BasketSplit,
    baselines: Mapping[str, Scorer],
    *,
    training_counts: np.ndarray,
    calibrated_on: object = None,
    histories: Histories | None = None,
) -> Evaluation:
    """Everything that a report holds.

    Args:
        recommender: the model under test.
        reader: gives each user's context strictly before the target.
        split: who is evaluated on what.
        baselines: other scorers over the same vocabulary, by name.
        training_counts: (n_items,) training events of each item.
        calibrated_on: what the model says its calibration was fitted on; None where it does not say.
        histories: what baselines read instead of the model's contexts; None for the same.
    """
    rows = reader.as_of(split.user_ids, split.moments)
    measured = measure(recommender, rows, split.target_items, baselines, histories)
    best_baseline = best_of(list(baselines), measured) if baselines else None
    beyond = _beyond_accuracy(measured, training_counts)
    return Evaluation(
        metrics={name: {**own, **beyond[name]} for name, own in measured.accuracy().items()},
        sections={
            "comparisons": comparison_section(measured, best_baseline),
            "groups": group_section(measured, rows, recommender.schema.user_columns, best_baseline),
            "calibration": calibration_section(measured, split.user_ids, calibrated_on),
            "personalisation": personalisation_section(measured),
        },
    )


def _beyond_accuracy(measured: Measured, training_counts: np.ndarray) -> dict[str, dict[str, float]]:
    taken = mean_popularity(np.bincount(measured.targets.known, minlength=len(training_counts)), training_counts)
    figures = {}
    for name, recommended in measured.recommended.items():
        popularity = mean_popularity(recommended, training_counts)
        figures[name] = {
            "coverage@10": coverage(recommended),
            "novelty@10": novelty(recommended, training_counts),
            "popularity@10": popularity,
            "popularity_bias@10": popularity - taken,
        }
    return figures
