"""How baselines are tuned: every trial is judged by validation NDCG@10, and all trials stand in the results."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np

from recsys.context.sequences import Sequences
from recsys.evaluation.cases import Cases, Catalogue, Scorer, score_cases
from recsys.metrics.ranking import ndcg

ConfigT = TypeVar("ConfigT")


@dataclass(frozen=True, slots=True)
class Trial(Generic[ConfigT]):
    """One setting that was tried.

    Attributes:
        config: the setting.
        ndcg: validation NDCG@10.
        seconds: of the fit and its evaluation.
    """

    config: ConfigT
    ndcg: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Tuned(Generic[ConfigT]):
    """All trials of a search.

    Attributes:
        trials: in the order tried.
    """

    trials: tuple[Trial[ConfigT], ...]

    @property
    def best(self) -> Trial[ConfigT]:
        """The first of the best."""
        return max(self.trials, key=lambda trial: trial.ndcg)


def validation_ndcg(scorer: Scorer, whole: Sequences, train: Sequences, n_items: int, *, repeats: bool) -> float:
    """NDCG@10 of the event that follows each user's training events.

    Args:
        scorer: what is judged.
        whole: complete sequences.
        train: training sequences of the same users; users whose whole sequence trains are not evaluated.
        n_items: size of the vocabulary.
        repeats: whether seen items stay in the ranking.
    """
    return ndcg_on(validation_cases(whole, train), scorer, whole, Catalogue(n_items, repeats))


def ndcg_on(cases: Cases, scorer: Scorer, whole: Sequences, catalogue: Catalogue) -> float:
    """NDCG@10 of a scorer on these cases."""
    return float(ndcg(score_cases(scorer, whole, cases, catalogue).ranks, 10).mean())


def validation_cases(whole: Sequences, train: Sequences) -> Cases:
    """The event that follows each user's training events, from those."""
    users = np.flatnonzero(whole.lengths > train.lengths)
    known = train.lengths[users]
    return Cases(users, known, whole.items[whole.offsets[users] + known])


def plain(config: object) -> Mapping[str, object]:
    """A pydantic configuration as plain values, for results files."""
    dump = getattr(config, "model_dump", None)
    return dict(dump()) if dump else {"value": config}
