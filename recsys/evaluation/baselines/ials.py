"""Implicit-feedback matrix factorisation by alternating least squares, through the library `implicit`.

A user's factors are solved for from the context at hand (fold-in), so unseen users and events newer than the fit are
served as warm ones are.

Source: Hu, Koren, Volinsky, Collaborative Filtering for Implicit Feedback Datasets, ICDM 2008; what to tune: Rendle et
al., Revisiting the Performance of iALS on Item Recommendation Benchmarks, RecSys 2022.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from recsys.context.batch import ContextBatch
from recsys.context.sequences import Sequences
from recsys.evaluation.baselines.extras import context_matrix, require_implicit, user_item_matrix
from recsys.evaluation.baselines.tuning import Trial, Tuned, validation_ndcg

ALPHAS = (3.0, 10.0, 30.0)
REGULARIZATIONS = (1.0, 10.0, 100.0)
SMALL, LARGE = 64, 128
FEW, MANY = 10, 20


class IalsConfig(BaseModel):
    """Settings of iALS, in the library's words."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    factors: int = Field(default=SMALL, ge=1)
    """Width of the factors."""
    regularization: float = Field(default=10.0, gt=0)
    """Penalty on both sides' factors."""
    alpha: float = Field(default=10.0, gt=0)
    """How much more a seen item weighs than an unseen one."""
    iterations: int = Field(default=FEW, ge=1)
    """Alternations."""


class IalsScorer:
    """Fold-in of each context, then the product with the item factors.

    Args:
        model: a fitted `implicit.als.AlternatingLeastSquares` on the CPU.
        n_items: size of the vocabulary.
    """

    def __init__(self, model: Any, n_items: int) -> None:
        self._model = model
        self._n_items = n_items

    def __call__(self, context: ContextBatch) -> Tensor:
        """(batch, n_items) float32; all zero for an empty context."""
        rows = context_matrix(context, self._n_items)
        factors = self._model.recalculate_user(np.arange(len(context)), rows)
        return torch.from_numpy(factors @ self._model.item_factors.T)


def fit_ials(train: Sequences, n_items: int, config: IalsConfig, *, seed: int = 0, threads: int = 1) -> IalsScorer:
    """Fits item factors on the training sequences.

    Args:
        train: the events to fit on; users without any take no part.
        n_items: size of the vocabulary.
        config: factors, regularisation, alpha, iterations.
        seed: of the initial factors.
        threads: how many cores to use.

    Raises:
        ConfigError: `implicit` is not installed.
    """
    require_implicit()
    from implicit.cpu.als import AlternatingLeastSquares

    model = AlternatingLeastSquares(**config.model_dump(), random_state=seed, num_threads=threads)
    model.fit(user_item_matrix(train, n_items), show_progress=False)
    return IalsScorer(model, n_items)


def ials_trials(
    whole: Sequences,
    train: Sequences,
    n_items: int,
    *,
    repeats: bool,
    threads: int = 1,
    on_trial: Callable[[Trial[IalsConfig]], None] = lambda _: None,
) -> Tuned[IalsConfig]:
    """Searches a grid of alpha and regularisation at few factors, then more iterations, more factors, and both.

    Args:
        whole: complete sequences; the validation target is the event after the training ones.
        train: training sequences of the same users.
        n_items: size of the vocabulary.
        repeats: whether seen items stay in the ranking.
        threads: how many cores to use.
        on_trial: told of each trial when it is over.
    """

    def attempt(config: IalsConfig) -> Trial[IalsConfig]:
        started = time.monotonic()
        scorer = fit_ials(train, n_items, config, threads=threads)
        found = validation_ndcg(scorer, whole, train, n_items, repeats=repeats)
        trial = Trial(config, found, round(time.monotonic() - started, 2))
        on_trial(trial)
        return trial

    first = Tuned(
        tuple(attempt(IalsConfig(alpha=a, regularization=r)) for a, r in product(ALPHAS, REGULARIZATIONS))
    ).trials
    best = Tuned(first).best.config
    larger = [(SMALL, MANY), (LARGE, FEW), (LARGE, MANY)]
    second = tuple(attempt(best.model_copy(update={"factors": f, "iterations": i})) for f, i in larger)
    return Tuned(first + second)
