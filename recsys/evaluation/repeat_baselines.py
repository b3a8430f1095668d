"""What a next-basket recommender must beat, each tuned on validation only: personal frequency and TIFU-kNN.

All are scorers over contexts: called with a ContextBatch they return (batch, n_items) scores.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Generic, TypeVar

import numpy as np
import torch
from torch import Tensor

from recsys.context.batch import ContextBatch
from recsys.context.sequences import Sequences
from recsys.evaluation.next_basket import basket_cases, rank_baskets
from recsys.evaluation.tifu_knn import TifuKnnConfig, fit_tifu_knn
from recsys.experts.repeat import RepeatConfig, RepeatExpert
from recsys.metrics.basket import basket_ndcg, basket_recall

BasketScorer = Callable[[ContextBatch], Tensor]
ConfigT = TypeVar("ConfigT")

HALF_LIVES_DAYS: tuple[float, ...] = (10.0, 20.0, 40.0, 60.0, 90.0, 130.0, 200.0, 400.0)
MIXES: tuple[tuple[int, float], ...] = tuple(product((30, 100, 300), (0.1, 0.3, 0.5, 0.7)))
"""Neighbours and own shares that TIFU-kNN is tried with at its best groups and decays."""
_TIE_BREAK = 1e-9


@dataclass(frozen=True, slots=True)
class BasketTrial(Generic[ConfigT]):
    """One setting of one method, tried on the validation baskets.

    Attributes:
        config: the setting.
        ndcg: validation NDCG@10.
        recall: validation recall@10.
        seconds: of the fit and its evaluation.
    """

    config: ConfigT
    ndcg: float
    recall: float
    seconds: float


class PersonalFrequency:
    """A user's own most frequent items, the more popular one first among equally frequent ones, then the popular rest.

    Args:
        popularity: (n_items,) events of each item in training.
        config: the half-life; without one every event counts alike.
    """

    def __init__(self, popularity: np.ndarray, config: RepeatConfig) -> None:
        self._tie_break = torch.from_numpy(_TIE_BREAK * popularity / (popularity.max(initial=0) + 1))
        self._expert = RepeatExpert(len(popularity), config)

    def __call__(self, context: ContextBatch) -> Tensor:
        """(batch, n_items) float64."""
        return self._expert.weighted_counts(context) + self._tie_break


def fit_personal_frequency(train: Sequences, n_items: int, config: RepeatConfig) -> PersonalFrequency:
    """Counts the popularity that breaks ties; all else comes from the context."""
    return PersonalFrequency(np.bincount(train.items - 1, minlength=n_items).astype(np.float64), config)


def personal_frequency_trials(
    whole: Sequences, train: Sequences, n_items: int, half_lives: Sequence[float] = HALF_LIVES_DAYS
) -> tuple[BasketTrial[RepeatConfig], ...]:
    """All-time frequency (half-life None) first, then every half-life, best first among the latter.

    Args:
        whole: complete sequences.
        train: their training part.
        n_items: size of the vocabulary.
        half_lives: days.
    """
    all_time, *decayed = _tried(
        whole,
        [RepeatConfig(half_life_days=days) for days in (None, *half_lives)],
        lambda config: fit_personal_frequency(train, n_items, config),
    )
    return (all_time, *_best_first(decayed))


def tifu_knn_trials(
    whole: Sequences,
    train: Sequences,
    n_items: int,
    first: Iterable[TifuKnnConfig] | None = None,
    mixes: Iterable[tuple[int, float]] = MIXES,
) -> tuple[BasketTrial[TifuKnnConfig], ...]:
    """TIFU-kNN over a small grid, best first: groups and decays, then neighbours and own share at the best of those.

    Args:
        whole: complete sequences.
        train: their training part.
        n_items: size of the vocabulary.
        first: the settings of the first stage; None: `tifu_knn_grid`.
        mixes: neighbours and own shares of the second stage.
    """

    def fitted(config: TifuKnnConfig) -> BasketScorer:
        return fit_tifu_knn(train, n_items, config)

    shapes = _best_first(_tried(whole, list(first or tifu_knn_grid()), fitted))
    best = shapes[0].config
    mixed = [
        best.model_copy(update={"neighbours": k, "own_share": share})
        for k, share in mixes
        if (k, share) != (best.neighbours, best.own_share)
    ]
    return tuple(_best_first([*shapes, *_tried(whole, mixed, fitted)]))


def tifu_knn_grid() -> Iterator[TifuKnnConfig]:
    """Group sizes and decays: those that the paper found best on grocery data, and around them."""
    for between in (0.9, 0.95, 0.97):
        yield TifuKnnConfig(group_size=1, within_decay=1.0, group_decay=between)
    for size, within, between in product((3, 7), (0.9, 1.0), (0.7, 0.8, 0.9, 0.95)):
        yield TifuKnnConfig(group_size=size, within_decay=within, group_decay=between)


def _tried(
    whole: Sequences, configs: Sequence[ConfigT], fitted: Callable[[ConfigT], BasketScorer]
) -> list[BasketTrial[ConfigT]]:
    """Every setting on the validation baskets, from complete histories."""
    cases = basket_cases(whole, "validation")
    longest = max(1, int(cases.known.max()))
    trials = []
    for config in configs:
        started = time.perf_counter()
        ranks = rank_baskets(fitted(config), whole, cases, history_length=longest)
        ndcg, recall = float(basket_ndcg(ranks, 10).mean()), float(basket_recall(ranks, 10).mean())
        trials.append(BasketTrial(config, ndcg, recall, round(time.perf_counter() - started, 3)))
    return trials


def _best_first(trials: Sequence[BasketTrial[ConfigT]]) -> list[BasketTrial[ConfigT]]:
    return sorted(trials, key=lambda trial: -trial.ndcg)
