"""The unit that measures quality against training time: `recsys train --budget` beside its body and the memory alone.

Validation only. Everything is fitted anew and nothing read from the experts that other units share, so that the
seconds are those of one run. They begin with the data in memory and end with a fitted model: reading the workspace,
validation, feature store and registry are not in them, though a budget keeps room for these.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from benchmarks.units.arms import Arm
from benchmarks.units.budget_plot import BODY_ALONE, MEMORY_ALONE, draw_budget
from benchmarks.units.claims import SHARED
from benchmarks.units.files import write_whole
from benchmarks.units.heads import configuration, generated
from benchmarks.units.joint import Steer, judged_together
from benchmarks.units.scoring import judged
from benchmarks.units.stages import STAGES_REVISION, profiles
from benchmarks.units.unit import Unit, UnitRun
from recsys.evaluation.full_ranking import MODEL
from recsys.model.scoring import BODY
from recsys.training.config import TrainConfig
from recsys.training.experts import closed_form_fits
from recsys.training.fit import fit_model
from recsys.training.progress import Progress, Stage
from recsys.training.time_plan import plan_within

BUDGETS = (120.0, 300.0, 600.0)
"""Seconds, of each model that is trained; together well below the time of a unit."""
PROTOCOL = "budget"
"""The arms' own, which keeps them out of the table of finished models."""
_OF_A_BUDGET = (SHARED, BODY_ALONE, MODEL)
_POINT = ("scorer", "budget", "epochs", "configured_epochs", "seconds")


def arm_name(budget: float, scorer: str) -> str:
    """What the arm of one scorer at one budget is called."""
    return f"budget {budget:g} s: {scorer}"


def run_budget(run: UnitRun) -> dict[str, object]:
    """Trains for each budget from the smallest on, until one has time for all epochs; finished budgets are kept."""
    config = configuration(run.bench)
    budgets: Any = run.unit.settings["budgets"]
    _measure_memory(run, config)
    for budget in sorted(budgets):
        names = [arm_name(budget, scorer) for scorer in _OF_A_BUDGET]
        if not all([run.has(name, 0, PROTOCOL) for name in names]):
            # Arms of one budget are of one fit: what a kill left of another one is no part of it.
            run.arms = [entry for entry in run.arms if entry["name"] not in names]
            for arm in _trained(run, config, budget):
                run.save(arm)
        notes = run.arms[-1]["notes"]
        if notes["epochs"] == notes["configured_epochs"]:
            break
    points = points_of(run.arms)
    picture = run.bench.results_folder / f"{run.unit.name}.png"
    title = f"Quality by training time: {run.bench.workspace.name}"
    write_whole(picture, lambda path: draw_budget(points, path, title))
    return {
        "config": config.model_dump(mode="json"),
        "threads": run.bench.threads,
        "points": points,
        "picture": picture.name,
    }


def points_of(entries: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """What is drawn and tabled, one an arm: scorer, budget, epochs, configured_epochs, seconds, ndcg@10, hr@10.

    Budget and epochs are None for the memory. A model's and its blend's seconds are of the whole run, planning
    included; a body's are its own.
    """
    return [
        {name: entry["notes"].get(name) for name in _POINT}
        | {name: entry["metrics"][name] for name in ("ndcg@10", "hr@10")}
        for entry in entries
    ]


class StageClock:
    """Progress passed on, and the seconds that each stage took.

    Args:
        progress: who is told.
    """

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._begun: list[tuple[str, float]] = []

    def stage(self, name: str, steps: int) -> Stage:
        """Begins a stage; the one before it is over."""
        self._begun.append((name, time.monotonic()))
        return self._progress.stage(name, steps)

    def seconds(self) -> dict[str, float]:
        """Of every stage by name; the last one is over now."""
        ends = [began for _, began in self._begun[1:]] + [time.monotonic()]
        return {name: round(end - began, 3) for (name, began), end in zip(self._begun, ends, strict=True)}


def _measure_memory(run: UnitRun, config: TrainConfig) -> None:
    """The first configured memory by itself, where the catalogue is small enough for one."""
    bench, schema = run.bench, run.bench.dataset.schema
    fits = closed_form_fits(bench.train, bench.dataset.attributes, config, clock=schema.clock, repeats=schema.repeats)
    name = next((name for name in config.memories if name in fits), None)
    if name is None or run.has(MEMORY_ALONE, 0, PROTOCOL):
        return
    started = time.monotonic()
    expert = fits[name]()
    seconds = round(time.monotonic() - started, 3)
    notes = {"scorer": MEMORY_ALONE, "memory": name, "seconds": seconds}
    run.save(replace(judged(run, MEMORY_ALONE, 0, expert.score, seconds=seconds, notes=notes), protocol=PROTOCOL))


def _trained(run: UnitRun, config: TrainConfig, budget: float) -> list[Arm]:
    """Plans and fits as `recsys train --budget` does; the arms of what came of it, the model last."""
    bench, schema, attributes = run.bench, run.bench.dataset.schema, run.bench.dataset.attributes
    train, profile, clock = bench.train, profiles(bench), StageClock(run.progress)
    kinds: dict[str, Any] = {"clock": schema.clock, "repeats": schema.repeats}
    started = time.monotonic()
    bar = run.progress.stage(f"measuring for {budget:g} s", 1)
    plan = plan_within(train, attributes, config, **kinds, seconds=budget)
    bar.advance(f"{plan.epochs} of {plan.configured_epochs} epochs")
    fitted = fit_model(train, profile, attributes, plan.applied(config), **kinds, progress=clock)
    seconds, by_stage = round(time.monotonic() - started, 3), clock.seconds()
    (own,) = (taken for stage, taken in by_stage.items() if stage.startswith(BODY))
    taken = {SHARED: seconds, BODY_ALONE: own, MODEL: seconds}
    steers: dict[str, Steer] = {
        SHARED: lambda say: fitted.model.shared_scores(say.outputs),
        BODY_ALONE: lambda say: say.outputs.scores[:, fitted.model.network.names.index(BODY)],
        MODEL: partial(generated, fitted.model.network, fitted.model.hypernetwork),
    }
    said = {
        "budget": budget,
        "epochs": plan.epochs,
        "configured_epochs": plan.configured_epochs,
        "plan": plan.as_dict(),
        "stage_seconds": by_stage,
    }
    return judged_together(
        bench,
        fitted.model.network,
        {(arm_name(budget, scorer), 0): steers[scorer] for scorer in _OF_A_BUDGET},
        profile,
        {(arm_name(budget, scorer), 0): {**said, "scorer": scorer, "seconds": taken[scorer]} for scorer in taken},
        protocol=PROTOCOL,
    )


BUDGET = Unit(
    "budget",
    run_budget,
    "quality against training time: models trained within budgets, their bodies alone, the memory alone",
    settings={"budgets": list(BUDGETS)},
    validation_only=True,
    targets="single",
    revision=STAGES_REVISION,
    also=lambda bench: {"config": configuration(bench).model_dump(mode="json")},
)
