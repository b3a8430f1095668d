"""What a report sets beside the model, tuned on validation: which baselines, and what they read, the protocol decides.

The search is small, because a report is made after every training; `benchmarks/quality.py` searches at length.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from recsys.context.batch import ContextBatch
from recsys.context.sequences import Sequences, prefix_contexts
from recsys.evaluation.baselines import Scorer, popularity_scorer, tune_ease
from recsys.evaluation.full_ranking import Histories
from recsys.evaluation.next_basket import basket_cases
from recsys.evaluation.protocol import SplitName
from recsys.evaluation.repeat_baselines import (
    fit_personal_frequency,
    personal_frequency_trials,
    tifu_knn_trials,
)
from recsys.evaluation.tifu_knn import TifuKnnConfig, fit_tifu_knn
from recsys.evaluation.workspace_protocol import NEXT_BASKET, protocol_of
from recsys.experts.repeat import RepeatConfig
from recsys.training.dataset import Dataset

POPULARITY = "popularity"
EASE = "EASE"
FREQUENCY = "personal frequency"
TIFU_KNN = "TIFU-kNN"

_HALF_LIVES_DAYS = (20.0, 40.0, 60.0, 90.0, 200.0)
_SHAPES = ((1, 1.0, 0.95), (3, 1.0, 0.9), (7, 1.0, 0.7), (7, 0.9, 0.7))
_FIRST_MIX = (100, 0.5)
_MIXES = ((100, 0.3), (100, 0.7), (300, 0.5))


@dataclass(frozen=True, slots=True)
class ReportBaselines:
    """What the model is set beside.

    Attributes:
        scorers: by name, over the vocabulary of the data set.
        tuned: what was chosen for them on validation, and everything that was tried.
        histories: what they read instead of the model's contexts; None for the same.
    """

    scorers: Mapping[str, Scorer]
    tuned: Mapping[str, object]
    histories: Histories | None = None


def report_baselines(dataset: Dataset, train: Sequences, split: SplitName) -> ReportBaselines:
    """Popularity with EASE, or with personal frequency and TIFU-kNN where targets are baskets.

    Args:
        dataset: all data as of the model's log position.
        train: its training part.
        split: what will be evaluated; `histories` takes positions of its users. Nothing is tuned on a test split.
    """
    n_items = len(dataset.vocabulary)
    popularity = popularity_scorer(train, n_items)
    if protocol_of(dataset.schema) == NEXT_BASKET:
        return _of_baskets(dataset.sequences, train, n_items, popularity, split)
    ease = tune_ease(dataset.sequences, train, n_items, repeats=dataset.schema.repeats)
    return ReportBaselines(
        {POPULARITY: popularity, EASE: ease.expert.score},
        {"EASE ridge": ease.ridge, "EASE ridges tried (NDCG@10)": {str(r): v for r, v in ease.tried.items()}},
    )


def _of_baskets(
    whole: Sequences, train: Sequences, n_items: int, popularity: Scorer, split: SplitName
) -> ReportBaselines:
    frequency = personal_frequency_trials(whole, train, n_items, _HALF_LIVES_DAYS)
    recent = max(frequency, key=lambda trial: trial.ndcg).config
    k, share = _FIRST_MIX
    shapes = (
        TifuKnnConfig(group_size=size, within_decay=within, group_decay=between, neighbours=k, own_share=share)
        for size, within, between in _SHAPES
    )
    tifu = tifu_knn_trials(whole, train, n_items, shapes, _MIXES)
    return ReportBaselines(
        {
            POPULARITY: popularity,
            FREQUENCY: fit_personal_frequency(train, n_items, recent),
            TIFU_KNN: fit_tifu_knn(train, n_items, tifu[0].config),
        },
        {
            f"{FREQUENCY}'s half-life": _half_life(recent),
            f"{FREQUENCY}'s half-lives tried (NDCG@10)": {_half_life(trial.config): trial.ndcg for trial in frequency},
            f"{TIFU_KNN}'s": _settings(tifu[0].config),
            f"{TIFU_KNN}'s settings tried (NDCG@10)": {_settings(trial.config): trial.ndcg for trial in tifu},
        },
        _complete_histories(whole, split),
    )


def _half_life(config: RepeatConfig) -> str:
    return "none" if config.half_life_days is None else f"{config.half_life_days:g} days"


def _settings(config: TifuKnnConfig) -> str:
    return ", ".join(f"{name} {value:g}" for name, value in config.model_dump().items())


def _complete_histories(whole: Sequences, split: SplitName) -> Histories:
    """TIFU-kNN counts baskets in the history tensor, so that it must hold them all."""
    cases = basket_cases(whole, split)
    nothing = np.zeros((len(whole), 0), np.float32)
    longest = max(1, int(cases.known.max()))

    def histories(users: np.ndarray) -> ContextBatch:
        return prefix_contexts(whole, cases.users[users], cases.known[users], nothing, history_length=longest)

    return histories
