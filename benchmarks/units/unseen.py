"""The protocol `unseen` for any scorer that can be fitted again without some users: two arms a context length.

`unseen-3` holds the ranks of users that the fit did not know, with their first three events as context;
`unseen-3-warm` those of the same targets under a fit that knew these users (and, short of all events, the target).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache

import numpy as np

from benchmarks.units.arms import Arm
from benchmarks.units.baselines import EASE, IALS, POPULARITY
from benchmarks.units.bench import Bench
from benchmarks.units.unit import Unit, UnitRun
from recsys.context.sequences import Sequences
from recsys.evaluation.baselines import IalsConfig, fit_ials, popularity_scorer, with_fallback
from recsys.evaluation.cases import Scorer, fit_scale, score_cases
from recsys.evaluation.unseen import CONTEXT_LENGTHS, context_name, held_out_users, unseen_cases, without_users
from recsys.experts.long_term import LongTermConfig, fit_long_term_memory

Fit = Callable[[Sequences, int], Scorer]
"""Training sequences and a seed to a scorer."""

ScaleOf = Callable[[Bench, Scorer, np.ndarray], float]
"""The benchmark, a scorer and the held-out users to what its scores are multiplied with before the softmax."""

SEEDS = (0, 1, 2, 3, 4)


def fitted_scale(bench: Bench, scorer: Scorer, held: np.ndarray) -> float:
    """The scale that is best on the validation cases of users that are not held out."""
    others = bench.validation_cases.take(np.flatnonzero(~np.isin(bench.validation_cases.users, held)))
    return fit_scale(scorer, bench.whole, others, bench.catalogue)


def already_logits(bench: Bench, scorer: Scorer, held: np.ndarray) -> float:
    """One: the scores are logits as they are."""
    return 1.0


def protocol_name(known: int | None, *, warm: bool) -> str:
    """What the arms of a context length are filed under."""
    return f"unseen-{context_name(known)}{'-warm' if warm else ''}"


def run_unseen(
    run: UnitRun,
    name: str,
    fit: Fit,
    profile: np.ndarray | None = None,
    *,
    seeded: bool = True,
    scale_of: ScaleOf = fitted_scale,
) -> None:
    """Saves the arms of one scorer for every seed and context length; finished ones are not made again.

    Args:
        run: of the unit.
        name: of the scorer.
        fit: makes it of training sequences; held-out users are in them with no events.
        profile: (users, width) float32; None for no profile.
        seeded: whether the fit depends on the seed; if not, the fit with all users is made once.
        scale_of: what turns its scores into logits; `already_logits` for a model.
    """
    bench = run.bench

    @cache
    def with_everybody(seed: int) -> Scorer:
        return fit(bench.train, seed)

    bar = run.progress.stage(f"unseen users: {name}", 2 * len(run.seeds))
    for seed in run.seeds:
        held = held_out_users(len(bench.whole), seed)
        for warm in (False, True):
            wanted = [k for k in CONTEXT_LENGTHS if not run.has(name, seed, protocol_name(k, warm=warm))]
            if wanted:
                scorer = with_everybody(seed if seeded else 0) if warm else fit(without_users(bench.train, held), seed)
                _score(run, name, seed, scorer, held, wanted, profile, scale_of, warm=warm)
            bar.advance()


def _score(
    run: UnitRun,
    name: str,
    seed: int,
    scorer: Scorer,
    held: np.ndarray,
    lengths: list[int | None],
    profile: np.ndarray | None,
    scale_of: ScaleOf,
    *,
    warm: bool,
) -> None:
    bench = run.bench
    scale = scale_of(bench, scorer, held)
    for known in lengths:
        cases = unseen_cases(bench.whole, held, known, bench.split)
        if len(cases):
            found = score_cases(scorer, bench.whole, cases, bench.catalogue, profile=profile, scale=scale)
            protocol = protocol_name(known, warm=warm)
            run.save(Arm(name, seed, found.ranks, found.log_loss, cases.users, protocol))


def run_baselines(run: UnitRun) -> Mapping[str, object]:
    """Popularity, EASE and iALS, with the settings that their own units chose."""
    n_items = run.bench.catalogue.n_items
    ridge = run.result("ease")["figures"]["chosen"]["ridge"]
    config = IalsConfig(**run.result("ials")["figures"]["chosen"])
    run_unseen(run, POPULARITY, lambda train, _: popularity_scorer(train, n_items), seeded=False)

    def ease(train: Sequences, _: int) -> Scorer:
        expert = fit_long_term_memory(train, n_items, LongTermConfig(ridge=ridge, decay=1.0))
        return with_fallback(expert.score, popularity_scorer(train, n_items))

    def ials(train: Sequences, seed: int) -> Scorer:
        own = fit_ials(train, n_items, config, seed=seed, threads=run.bench.threads)
        return with_fallback(own, popularity_scorer(train, n_items))

    run_unseen(run, EASE, ease, seeded=False)
    run_unseen(run, IALS, ials)
    return {"settings_chosen_with_all_users": {"EASE ridge": ridge, "iALS": config.model_dump()}}


UNSEEN_BASELINES = Unit(
    "unseen-baselines",
    run_baselines,
    "popularity, EASE and iALS for users that no fit knew",
    settings={"context_lengths": [context_name(k) for k in CONTEXT_LENGTHS]},
    seeds=SEEDS,
    needs=("ease", "ials"),
    targets="single",
    revision=2,
)
