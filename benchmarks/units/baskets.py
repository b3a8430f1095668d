"""The units of next-basket baselines: personal frequency and TIFU-kNN, every trial on validation kept."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from benchmarks.units.baselines import chosen
from benchmarks.units.scoring import judged
from benchmarks.units.unit import Unit, UnitRun
from recsys.evaluation.cases import Scorer
from recsys.evaluation.repeat_baselines import (
    HALF_LIVES_DAYS,
    BasketTrial,
    fit_personal_frequency,
    personal_frequency_trials,
    tifu_knn_grid,
    tifu_knn_trials,
)
from recsys.evaluation.tifu_knn import TifuKnnConfig, fit_tifu_knn
from recsys.experts.repeat import RepeatConfig

ALL_TIME, RECENT, TIFU_KNN = "personal frequency, all time", "personal frequency, recent", "TIFU-kNN"


def run_frequency(run: UnitRun) -> dict[str, object]:
    """Counts of one's own items, undecayed and with the half-life that validation chose."""
    bench = run.bench
    n_items = bench.catalogue.n_items

    def search() -> dict[str, Any]:
        all_time, *decayed = personal_frequency_trials(bench.whole, bench.train, n_items)
        return {"chosen": decayed[0].config.model_dump(), "trials": _said([all_time, *decayed])}

    figures = chosen(run, search)

    def keep(name: str, config: RepeatConfig) -> None:
        _keep(run, name, lambda: fit_personal_frequency(bench.train, n_items, config), config.model_dump())

    keep(ALL_TIME, RepeatConfig(half_life_days=None))
    keep(RECENT, RepeatConfig(**figures["chosen"]))
    return figures


def run_tifu_knn(run: UnitRun) -> dict[str, object]:
    """TIFU-kNN at the best setting of its grid."""
    bench = run.bench
    n_items = bench.catalogue.n_items

    def search() -> dict[str, Any]:
        trials = tifu_knn_trials(bench.whole, bench.train, n_items)
        return {"chosen": trials[0].config.model_dump(), "trials": _said(trials)}

    figures = chosen(run, search)
    config = TifuKnnConfig(**figures["chosen"])
    _keep(run, TIFU_KNN, lambda: fit_tifu_knn(bench.train, n_items, config), config.model_dump())
    return figures


def _keep(run: UnitRun, name: str, fit: Callable[[], Scorer], settings: dict[str, object]) -> None:
    if not run.has(name, 0):
        started = time.monotonic()
        scorer = fit()
        run.save(judged(run, name, 0, scorer, seconds=time.monotonic() - started, notes=settings))


def _said(trials: Sequence[BasketTrial[Any]]) -> list[dict[str, object]]:
    return [
        {**trial.config.model_dump(), "ndcg@10": trial.ndcg, "recall@10": trial.recall, "seconds": trial.seconds}
        for trial in trials
    ]


BASKETS = (
    Unit(
        "personal-frequency",
        run_frequency,
        "one's own items by frequency, half-life tuned on validation baskets",
        settings={"half_lives_days": list(HALF_LIVES_DAYS)},
        targets="baskets",
    ),
    Unit(
        "tifu-knn",
        run_tifu_knn,
        "TIFU-kNN, tuned on validation baskets",
        settings={"first_stage": [config.model_dump() for config in tifu_knn_grid()]},
        targets="baskets",
    ),
)
