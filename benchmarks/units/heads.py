"""Units of the model: experts alone, the shared blend, generated heads of every kind, and their controls."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from torch import Tensor

from benchmarks.units.bench import Bench
from benchmarks.units.claims import CONCATENATED, HEAD_KINDS, SHARED, SHARED_MATRIX, fed_mean, fed_others, head
from benchmarks.units.controls import concatenated, shared_matrix
from benchmarks.units.joint import Say, Steer, judged_together
from benchmarks.units.kept import HEAD_REVISION, kept
from benchmarks.units.stages import STAGES_REVISION, heads_folder, profiles, seconds_of, stages
from benchmarks.units.training_part import EVERYTHING, TrainingPart
from benchmarks.units.unit import Unit, UnitRun
from recsys.model.head import HeadConfig, HeadWeights
from recsys.model.hypernetwork import Hypernetwork
from recsys.model.scoring import ScoringNetwork
from recsys.training.config import TrainConfig, load_config
from recsys.training.fit import fit_heads
from recsys.training.progress import Progress
from recsys.training.stages import Stages

SEEDS = (0, 1, 2, 3, 4)
Notes = dict[tuple[str, int], Mapping[str, object]]
_SEEDED = (
    *(name for kind in HEAD_KINDS for name in (head(kind), fed_others(head(kind)), fed_mean(head(kind)))),
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
    unseeded = experts_and_blend(found)
    if not all([run.has(*key) for key in unseeded]):
        _judge(run, network, unseeded, {})
    for seed in run.seeds:
        if not all([run.has(name, seed) for name in _SEEDED]):
            arms, notes = _of_seed(found, config, seed, run)
            _judge(run, network, arms, notes)
    return {"config": config.model_dump(mode="json"), "stage_seconds": seconds_of(bench, config)}


def _judge(run: UnitRun, network: ScoringNetwork, arms: dict[tuple[str, int], Steer], notes: Notes) -> None:
    profile = profiles(run.bench)
    for arm in judged_together(run.bench, network, arms, profile, notes):
        if not run.has(arm.name, arm.seed):
            run.save(arm)


def _of_seed(found: Stages, config: TrainConfig, seed: int, run: UnitRun) -> tuple[dict[tuple[str, int], Steer], Notes]:
    arms: dict[tuple[str, int], Steer] = {}
    notes: Notes = {}
    for kind in HEAD_KINDS:
        name, network = head(kind), found.final
        generator, notes[name, seed] = kept_head(run.bench, config, found, kind, seed, run.progress)
        mean = generator.mean[None]
        arms[name, seed] = partial(generated, network, generator)
        arms[fed_others(name), seed] = partial(generated, network, generator, change=rolled)
        arms[fed_mean(name), seed] = partial(
            generated, network, generator, change=lambda x, mean=mean: mean.expand(len(x), -1)
        )
    folder = heads_folder(run.bench, config)
    for name, control in ((SHARED_MATRIX, shared_matrix), (CONCATENATED, concatenated)):
        arms[name, seed], notes[name, seed] = control(found.held_out, found.final, config, seed, folder)
    return arms, notes


def kept_head(
    bench: Bench,
    config: TrainConfig,
    found: Stages,
    kind: str,
    seed: int,
    progress: Progress,
    part: TrainingPart = EVERYTHING,
) -> tuple[Hypernetwork, Mapping[str, object]]:
    """A generator on the stages of a configuration, from disk if it is there.

    Args:
        bench: data and folders.
        config: everything that decides but the kind of head and the generator's seed.
        found: the stages of that configuration and part.
        kind: of the head.
        seed: of the generator.
        progress: bars.
        part: what every fit is given, as for `stages`.

    Returns:
        The generator, and epochs, losses, parameters and seconds of its fit.
    """
    own = config.model_copy(
        update={"seed": seed, "head": HeadConfig.model_validate({**config.head.model_dump(), "kind": kind})}
    )
    held = found.held_out

    def fit() -> tuple[Mapping[str, Tensor], Mapping[str, object]]:
        generator, curves = fit_heads(held, own, progress)
        selections = curves["generator_selection_loss"]
        return generator.state_dict(), {
            "epochs": len(selections) - 1,
            "selection_loss": {"blend": selections[0], "best": min(selections)},
            "parameters": sum(own.numel() for own in generator.parameters()),
        }

    name = f"{kind}-{own.head.hidden}-s{seed}-r{HEAD_REVISION}.safetensors"
    tensors, notes = kept(heads_folder(bench, config, part) / name, fit)
    made = Hypernetwork(own.head, held.prepared.statistics.shape[1], len(held.network.names), held.network.width)
    made.load_state_dict(tensors)
    return made.eval(), notes


def experts_and_blend(found: Stages) -> dict[tuple[str, int], Steer]:
    """The arms that need no generator: every expert alone, and the shared blend."""
    arms: dict[tuple[str, int], Steer] = {
        (f"expert: {name}", 0): partial(_alone, place) for place, name in enumerate(found.final.said_alone)
    }
    return {**arms, (SHARED, 0): partial(steered, found.final, found.held_out.shared)}


def _alone(place: int, say: Say) -> Tensor:
    return say.outputs.scores[:, place]


def steered(network: ScoringNetwork, weights: HeadWeights, say: Say) -> Tensor:
    """(batch, n_items) logits under one head for everybody."""
    return network.score(say.outputs, weights)


def generated(
    network: ScoringNetwork, generator: Hypernetwork, say: Say, *, change: Callable[[Tensor], Tensor] = lambda x: x
) -> Tensor:
    """(batch, n_items) logits under generated heads, whose inputs `change` may replace."""
    inputs = generator.inputs(say.statistics, say.outputs.states)
    return network.score(say.outputs, generator(change(inputs), say.known))


def rolled(inputs: Tensor) -> Tensor:
    """Everybody gets the inputs of the user before them in the block."""
    return inputs.roll(1, 0)


STAGES = Unit(
    "experts",
    run_stages,
    "the experts without the generator's targets, the blend, the experts on everything",
    revision=STAGES_REVISION,
    also=lambda bench: {"config": configuration(bench).model_dump(mode="json")},
    looks=False,
)
HEADS = Unit(
    "heads",
    run_heads,
    "experts alone, shared blend, generated heads of every kind and their controls",
    settings={"head_revision": HEAD_REVISION},
    revision=STAGES_REVISION,
    seeds=SEEDS,
    also=lambda bench: {"config": configuration(bench).model_dump(mode="json")},
)
