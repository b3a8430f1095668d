"""The units of the baselines: tuned on validation, then one arm a seed. The test split reuses what validation chose."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from benchmarks.units.scoring import judged
from benchmarks.units.unit import Unit, UnitRun, finished
from recsys.evaluation.baselines import (
    EASE_RIDGES,
    LARGE_CATALOGUE_RIDGES,
    IalsConfig,
    NeighbourConfig,
    Trial,
    Tuned,
    fit_ials,
    fit_neighbours,
    ials_trials,
    neighbour_trials,
    popularity_scorer,
    tune_ease,
)
from recsys.evaluation.baselines.ials import ALPHAS, FEW, LARGE, MANY, REGULARIZATIONS, SMALL
from recsys.evaluation.baselines.neighbours import NEIGHBOURS, SIMILARITIES
from recsys.evaluation.baselines.tuning import plain
from recsys.experts.long_term import LongTermConfig, fit_long_term_memory

POPULARITY, EASE, IALS, NEIGHBOUR = "popularity", "EASE", "iALS", "item neighbours"


def chosen(run: UnitRun, search: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What validation chose: searched on the validation split, read from its result on any other."""
    if run.bench.split == "validation":
        return search()
    return dict(finished(run.bench.on_validation(), run.unit.name)["figures"])


def run_popularity(run: UnitRun) -> dict[str, object]:
    """Popularity has nothing to tune."""
    if not run.has(POPULARITY, 0):
        started = time.monotonic()
        scorer = popularity_scorer(run.bench.train, run.bench.catalogue.n_items)
        run.save(judged(run, POPULARITY, 0, scorer, seconds=time.monotonic() - started))
    return {}


def run_ease(run: UnitRun) -> dict[str, object]:
    """EASE with its ridge from a grid."""
    bench = run.bench

    def search() -> dict[str, Any]:
        tuned = tune_ease(bench.whole, bench.train, bench.catalogue.n_items, repeats=bench.catalogue.repeats)
        return {"chosen": {"ridge": tuned.ridge}, "trials": {str(r): found for r, found in tuned.tried.items()}}

    figures = chosen(run, search)
    if not run.has(EASE, 0):
        started = time.monotonic()
        config = LongTermConfig(ridge=figures["chosen"]["ridge"], decay=1.0)
        expert = fit_long_term_memory(bench.train, bench.catalogue.n_items, config)
        seconds = time.monotonic() - started
        run.save(judged(run, EASE, 0, expert.score, seconds=seconds, notes=figures["chosen"]))
    return figures


def run_ials(run: UnitRun) -> dict[str, object]:
    """Implicit ALS from a grid, one fit a seed."""
    bench = run.bench
    n_items, repeats = bench.catalogue.n_items, bench.catalogue.repeats

    def search() -> dict[str, Any]:
        bar = run.progress.stage("iALS: trials", len(ALPHAS) * len(REGULARIZATIONS) + 3)
        tuned = ials_trials(
            bench.whole, bench.train, n_items, repeats=repeats, threads=bench.threads,
            on_trial=lambda trial: bar.advance(f"{trial.ndcg:.4f}"),
        )  # fmt: skip
        return _figures(tuned)

    figures = chosen(run, search)
    config = IalsConfig(**figures["chosen"])
    for seed in run.seeds:
        if not run.has(IALS, seed):
            started = time.monotonic()
            scorer = fit_ials(bench.train, n_items, config, seed=seed, threads=bench.threads)
            run.save(judged(run, IALS, seed, scorer, seconds=time.monotonic() - started, notes=figures["chosen"]))
    return figures


def run_neighbours(run: UnitRun) -> dict[str, object]:
    """Item neighbours from a grid."""
    bench = run.bench
    n_items, repeats = bench.catalogue.n_items, bench.catalogue.repeats

    def search() -> dict[str, Any]:
        bar = run.progress.stage("item neighbours: trials", len(SIMILARITIES) * len(NEIGHBOURS))
        tuned = neighbour_trials(
            bench.whole, bench.train, n_items, repeats=repeats, threads=bench.threads,
            on_trial=lambda trial: bar.advance(f"{trial.ndcg:.4f}"),
        )  # fmt: skip
        return _figures(tuned)

    figures = chosen(run, search)
    if not run.has(NEIGHBOUR, 0):
        started = time.monotonic()
        config = NeighbourConfig(**figures["chosen"])
        scorer = fit_neighbours(bench.train, n_items, config, threads=bench.threads)
        run.save(judged(run, NEIGHBOUR, 0, scorer, seconds=time.monotonic() - started, notes=figures["chosen"]))
    return figures


def _figures(tuned: Tuned[Any]) -> dict[str, Any]:
    def said(trial: Trial[Any]) -> dict[str, object]:
        return {**plain(trial.config), "ndcg@10": trial.ndcg, "seconds": trial.seconds}

    return {"chosen": dict(plain(tuned.best.config)), "trials": [said(trial) for trial in tuned.trials]}


BASELINES = (
    Unit("popularity", run_popularity, "counts of training events"),
    Unit(
        "ease",
        run_ease,
        "EASE, ridge tuned on validation",
        settings={"ridges": list(EASE_RIDGES), "large_catalogue_ridges": list(LARGE_CATALOGUE_RIDGES)},
        targets="single",
    ),
    Unit(
        "ials",
        run_ials,
        "iALS of implicit, tuned on validation, fold-in of every context",
        settings={
            "alphas": list(ALPHAS),
            "regularizations": list(REGULARIZATIONS),
            "factors": [SMALL, LARGE],
            "iterations": [FEW, MANY],
        },
        seeds=(0, 1, 2),
        targets="single",
    ),
    Unit(
        "item-neighbours",
        run_neighbours,
        "item neighbours of implicit, tuned on validation",
        settings={"similarities": list(SIMILARITIES), "neighbours": list(NEIGHBOURS)},
        targets="single",
    ),
)
