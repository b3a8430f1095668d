"""EASE with its ridge tuned on validation: the linear baseline, in closed form."""

from __future__ import annotations

from dataclasses import dataclass

from recsys.context.sequences import Sequences
from recsys.evaluation.baselines.tuning import ndcg_on, validation_cases
from recsys.evaluation.cases import Cases, Catalogue
from recsys.experts.long_term import LongTermConfig, LongTermMemory, fit_long_term_memory

EASE_RIDGES = (30.0, 100.0, 300.0, 1000.0)
LARGE_CATALOGUE_RIDGES = (100.0, 300.0)
_LARGE_CATALOGUE = 6_000


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


def tune_ease(
    whole: Sequences, train: Sequences, n_items: int, *, repeats: bool, cases: Cases | None = None
) -> TunedEase:
    """Fits EASE with each ridge of a grid and keeps the best on validation.

    Args:
        whole: complete sequences.
        train: training sequences of the same users.
        n_items: size of the vocabulary.
        repeats: whether seen items stay in the ranking.
        cases: what ridges are judged by; None for the event that follows each user's training events.
    """
    validation = validation_cases(whole, train) if cases is None else cases
    ridges = EASE_RIDGES if n_items <= _LARGE_CATALOGUE else LARGE_CATALOGUE_RIDGES
    tried: dict[float, float] = {}
    best: TunedEase | None = None
    for ridge in ridges:
        expert = fit_long_term_memory(train, n_items, LongTermConfig(ridge=ridge, decay=1.0))
        tried[ridge] = ndcg_on(validation, expert.score, whole, Catalogue(n_items, repeats))
        if best is None or tried[ridge] > tried[best.ridge]:
            best = TunedEase(expert, ridge, tried)
    assert best is not None
    return best
