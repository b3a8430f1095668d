"""The protocol `temporal`: what was known at one moment predicts each user's first event after it.

Every fit sees only what lies before the first of two moments; what is tuned is tuned between them.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict
from functools import partial
from typing import Any

from benchmarks.units.arms import Arm
from benchmarks.units.baselines import EASE, POPULARITY, chosen
from benchmarks.units.claims import fed_others, head
from benchmarks.units.heads import configuration, experts_and_blend, generated, kept_head, rolled
from benchmarks.units.joint import judged_together
from benchmarks.units.kept import HEAD_REVISION
from benchmarks.units.stages import STAGES_REVISION, profiles, seconds_of, stages
from benchmarks.units.training_part import BEFORE_MOMENT
from benchmarks.units.unit import Unit, UnitRun
from recsys.context.sequences import Sequences
from recsys.evaluation.baselines import (
    EASE_RIDGES,
    LARGE_CATALOGUE_RIDGES,
    Scorer,
    ndcg_on,
    popularity_scorer,
    tune_ease,
)
from recsys.evaluation.cases import Cases, fit_scale, score_cases
from recsys.evaluation.temporal import TRAINING_SHARE, VALIDATION_SHARE, temporal_cases
from recsys.experts.long_term import LongTermConfig, fit_long_term_memory
from recsys.experts.popularity import PopularityConfig, fit_popularity
from recsys.training.config import TrainConfig

TEMPORAL = "temporal"
"""The unit and the protocol of its arms."""
RECENT_POPULARITY = "popularity, recent"
HALF_LIVES_DAYS = (1.0, 3.0, 10.0, 30.0, 90.0, 365.0)
SEEDS = (0, 1, 2)


def run_temporal(run: UnitRun) -> Mapping[str, object]:
    """Tunes the baselines on validation, then judges them, the experts, the blend and the shipped kind of head."""
    bench, config = run.bench, configuration(run.bench)
    train = BEFORE_MOMENT.sequences(bench)
    cases = temporal_cases(bench.whole, bench.split, bench.moments)
    validation = temporal_cases(bench.whole, "validation", bench.moments)
    tuned = chosen(run, lambda: {"tuned": _tuned(run, train, validation)})["tuned"]
    for name in (POPULARITY, RECENT_POPULARITY, EASE):
        if not run.has(name, 0, TEMPORAL):
            settings = tuned[name]["chosen"] if name in tuned else {}
            run.save(_baseline(run, name, train, cases, validation, settings))
    _model(run, config, cases)
    return {
        "tuned": tuned,
        "moments": asdict(bench.moments),
        "training_events": len(train.items),
        "users": len(cases),
        "config": config.model_dump(mode="json"),
        "stage_seconds": seconds_of(bench, config, BEFORE_MOMENT),
    }


def _tuned(run: UnitRun, train: Sequences, validation: Cases) -> dict[str, dict[str, Any]]:
    """Chosen settings and all trials, by baseline."""
    bench = run.bench
    n_items = bench.catalogue.n_items
    bar = run.progress.stage("temporal: baselines tuned on validation", len(HALF_LIVES_DAYS) + 1)
    trials: dict[float, float] = {}
    for half_life in HALF_LIVES_DAYS:
        scorer = fit_popularity(train, n_items, PopularityConfig(half_life_days=half_life)).score
        trials[half_life] = ndcg_on(validation, scorer, bench.whole, bench.catalogue)
        bar.advance(f"{half_life:g} days: {trials[half_life]:.4f}")
    best = max(trials, key=lambda half_life: trials[half_life])
    ease = tune_ease(bench.whole, train, n_items, repeats=bench.catalogue.repeats, cases=validation)
    bar.advance(EASE)
    return {
        RECENT_POPULARITY: {"chosen": {"half_life_days": best}, "trials": {str(h): own for h, own in trials.items()}},
        EASE: {"chosen": {"ridge": ease.ridge}, "trials": {str(r): own for r, own in ease.tried.items()}},
    }


def _baseline(
    run: UnitRun, name: str, train: Sequences, cases: Cases, validation: Cases, settings: Mapping[str, Any]
) -> Arm:
    bench = run.bench
    started = time.monotonic()
    scorer = _fitted(name, train, bench.catalogue.n_items, settings)
    seconds = time.monotonic() - started
    scale = fit_scale(scorer, bench.whole, validation, bench.catalogue)
    found = score_cases(scorer, bench.whole, cases, bench.catalogue, scale=scale)
    notes = {"fit_seconds": round(seconds, 2), "score_scale": scale, **settings}
    return Arm(name, 0, found.ranks, found.log_loss, cases.users, TEMPORAL, notes)


def _fitted(name: str, train: Sequences, n_items: int, settings: Mapping[str, Any]) -> Scorer:
    if name == EASE:
        return fit_long_term_memory(train, n_items, LongTermConfig(**settings, decay=1.0)).score
    if name == RECENT_POPULARITY:
        return fit_popularity(train, n_items, PopularityConfig(**settings)).score
    return popularity_scorer(train, n_items)


def _model(run: UnitRun, config: TrainConfig, cases: Cases) -> None:
    """All arms of the model that are not there yet, in one pass over the cases."""
    bench = run.bench
    found = stages(bench, config, run.progress, BEFORE_MOMENT)
    arms = experts_and_blend(found)
    notes: dict[tuple[str, int], Mapping[str, object]] = {}
    ours = head(config.head.kind)
    for seed in run.seeds:
        generator, notes[ours, seed] = kept_head(
            bench, config, found, config.head.kind, seed, run.progress, BEFORE_MOMENT
        )
        arms[ours, seed] = partial(generated, found.final, generator)
        arms[fed_others(ours), seed] = partial(generated, found.final, generator, change=rolled)
    missing = {key: steer for key, steer in arms.items() if not run.has(*key, TEMPORAL)}
    if missing:
        for arm in judged_together(bench, found.final, missing, profiles(bench), notes, cases=cases, protocol=TEMPORAL):
            run.save(arm)


TEMPORAL_SPLIT = Unit(
    TEMPORAL,
    run_temporal,
    "train before a moment, test after it: baselines, experts, blend and the shipped head",
    settings={
        "shares": [TRAINING_SHARE, VALIDATION_SHARE],
        "half_lives_days": list(HALF_LIVES_DAYS),
        "ridges": list(EASE_RIDGES),
        "large_catalogue_ridges": list(LARGE_CATALOGUE_RIDGES),
        "head_revision": HEAD_REVISION,
    },
    revision=STAGES_REVISION,
    seeds=SEEDS,
    targets="single",
    needs_clock=True,
    also=lambda bench: {"config": configuration(bench).model_dump(mode="json")},
)
