"""Units of the model: experts alone, the shared blend, generated heads of every kind, and their controls."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import partial

from torch import Tensor

from benchmarks.units.bench import Bench
from benchmarks.units.claims import HEAD_KINDS, SHARED, fed_others, head
from benchmarks.units.controls import concatenated, shared_matrix
from benchmarks.units.joint import Say, Steer, judged_together
from benchmarks.units.stages import profiles, seconds_of, stages
from benchmarks.units.unit import Unit, UnitRun
from recsys.model.head import HeadConfig, HeadWeights
from recsys.model.hypernetwork import Hypernetwork
from recsys.model.personal import POPULARITY
from recsys.model.scoring import ScoringNetwork
from recsys.training.config import TrainConfig, load_config
from recsys.training.fit import fit_heads
from recsys.training.stages import Stages

SEEDS = (0, 1, 2, 3, 4)
MEAN_CONTEXT = "{}, mean context"
SHARED_MATRIX = "control: shared matrix"
CONCATENATED = "control: context concatenated into the body"
Notes = dict[tuple[str, int], Mapping[str, object]]
_SEEDED = (
    *(name for kind in HEAD_KINDS for name in (head(kind), fed_others(head(kind)), MEAN_CONTEXT.format(head(kind)))),
    SHARED_MATRIX,
    CONCATENATED,
)
_CONFIGURATIONS = {"beauty": "sparse", "toys": "sparse", "movielens-100k": "quickstart", "complete-journey": "baskets"}


def configuration(bench: Bench) -> TrainConfig:
    """The configuration that ships for data of this sort."""
    return load_config(_CONFIGURATIONS.get(bench.workspace.name, "default"))


def run_stages(run: UnitRun) -> dict[str, object]:
    """Fits the experts, kept for the other units."""
    config = configuration(run.bench)
    found = stages(run.bench, config, run.progress)
    return {
        "config": config.model_dump(mode="json"),
        "seconds": seconds_of(run.bench, config),
        "body_losses": list(found.body_losses),
        "held_out_users": found.held_out_users,
        "targets": {"train": len(found.held_out.train), "selection": len(found.held_out.selection)},
        "blend": dict(zip(found.final.names, found.held_out.shared.gains[0].tolist(), strict=True)),
    }


def run_heads(run: UnitRun) -> dict[str, object]:
    """Experts and blend in one pass over the split, then heads and controls, a pass a seed; finished ones are kept."""
    bench = run.bench
    config = configuration(bench)
    found = stages(bench, config, run.progress)
    network = found.final
    alone: dict[tuple[str, int], Steer] = {
        (f"expert: {name}", 0): partial(_alone, place) for place, name in enumerate(network.names)
    }
    alone[SHARED, 0] = partial(_steered, network, found.held_out.shared)
    if not all([run.has(*key) for key in alone]):
        _judge(run, network, alone, {})
    for seed in run.seeds:
        if not all([run.has(name, seed) for name in _SEEDED]):
            arms, notes = _of_seed(found, config, seed, run)
            _judge(run, network, arms, notes)
    return {"config": config.model_dump(mode="json"), "stage_seconds": seconds_of(bench, config)}


def _judge(run: UnitRun, network: ScoringNetwork, arms: dict[tuple[str, int], Steer], notes: Notes) -> None:
    popularity = network.others[POPULARITY].tensors()["log_counts"]
    profile = profiles(run.bench)
    for arm in judged_together(run.bench, network, arms, profile, notes, log_popularity=popularity):
        if not run.has(arm.name, arm.seed):
            run.save(arm)


def _of_seed(found: Stages, config: TrainConfig, seed: int, run: UnitRun) -> tuple[dict[tuple[str, int], Steer], Notes]:
    arms: dict[tuple[str, int], Steer] = {}
    notes: Notes = {}
    for kind in HEAD_KINDS:
        notes[head(kind), seed] = _add_head(arms, found, config, kind, seed, run)
    for name, control in ((SHARED_MATRIX, shared_matrix), (CONCATENATED, concatenated)):
        started = time.monotonic()
        arms[name, seed], said = control(found.held_out, found.final, config, seed)
        notes[name, seed] = {**said, "fit_seconds": round(time.monotonic() - started, 1)}
    return arms, notes


def _add_head(
    arms: dict[tuple[str, int], Steer], found: Stages, config: TrainConfig, kind: str, seed: int, run: UnitRun
) -> dict[str, object]:
    own = config.model_copy(
        update={"seed": seed, "head": HeadConfig.model_validate({**config.head.model_dump(), "kind": kind})}
    )
    started = time.monotonic()
    generator, curves = fit_heads(found.held_out, own, run.progress)
    name, network = head(kind), found.final
    arms[name, seed] = partial(_generated, network, generator, _as_they_are)
    arms[fed_others(name), seed] = partial(_generated, network, generator, _rolled)
    mean = generator.mean[None]
    arms[MEAN_CONTEXT.format(name), seed] = partial(_generated, network, generator, lambda x: mean.expand(len(x), -1))
    selections = curves["generator_selection_loss"]
    return {
        "fit_seconds": round(time.monotonic() - started, 1),
        "epochs": len(selections) - 1,
        "selection_loss": {"blend": selections[0], "best": min(selections)},
        "parameters": sum(own.numel() for own in generator.parameters()),
    }


def _alone(place: int, say: Say) -> Tensor:
    return say.outputs.scores[:, place]


def _steered(network: ScoringNetwork, weights: HeadWeights, say: Say) -> Tensor:
    return network.score(say.outputs, weights)


def _generated(
    network: ScoringNetwork, generator: Hypernetwork, change: Callable[[Tensor], Tensor], say: Say
) -> Tensor:
    inputs = generator.inputs(say.statistics, say.outputs.states)
    return network.score(say.outputs, generator(change(inputs)))


def _as_they_are(inputs: Tensor) -> Tensor:
    return inputs


def _rolled(inputs: Tensor) -> Tensor:
    """Everybody gets the inputs of the user before them in the block."""
    return inputs.roll(1, 0)


STAGES = Unit(
    "experts",
    run_stages,
    "the experts without the generator's users, the blend, the experts on everyone",
    also=lambda bench: {"config": configuration(bench).model_dump(mode="json")},
    looks=False,
)
HEADS = Unit(
    "heads",
    run_heads,
    "experts alone, shared blend, generated heads of every kind and their controls",
    seeds=SEEDS,
    also=lambda bench: {"config": configuration(bench).model_dump(mode="json")},
)
