"""The whole fit: the stages up to the blend, then the generator. Sees training sequences only."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from recsys.context.sequences import Sequences
from recsys.model.hypernetwork import Hypernetwork
from recsys.model.personal import ModelConfig, PersonalModel, expert_specs
from recsys.training.attributes import ItemAttributes
from recsys.training.body_start import BodyStart
from recsys.training.config import TrainConfig
from recsys.training.generator import fit_generator
from recsys.training.held_out import HeldOut, ranking_loss
from recsys.training.progress import Progress
from recsys.training.stages import Stages, fit_stages


@dataclass(frozen=True, slots=True)
class Fitted:
    """What a training run gives.

    Attributes:
        model: experts and generator, ready to score; its probabilities are not calibrated.
        curves: one value an epoch, by name.
        counts: how much was trained on what.
    """

    model: PersonalModel
    curves: dict[str, list[float]]
    counts: dict[str, int]


def fit_model(
    sequences: Sequences,
    profile: np.ndarray,
    attributes: ItemAttributes,
    config: TrainConfig,
    *,
    clock: bool,
    repeats: bool,
    progress: Progress,
    start: BodyStart | None = None,
    kept: Path | None = None,
) -> Fitted:
    """Fits everything that a snapshot holds.

    Args:
        sequences: training sequences, without validation and test targets.
        profile: (users, profile_width) float32 in the order of the sequences' users.
        attributes: of every item of the vocabulary.
        config: everything that decides.
        clock: whether event times are real.
        repeats: whether items repeat.
        progress: told how far it is.
        start: what the body begins from; None: from nothing.
        kept: a folder for the body's fit, which goes on from what an earlier call with the same arguments left in it;
            None: no such call can be gone on from.

    Raises:
        ConfigError: a setting needs real times, and there are none.
        DataError: too few users, items or events to train on.
        TrainingError: a loss is not finite, or a worker failed.
    """
    kinds = {"clock": clock, "repeats": repeats}
    stages = fit_stages(sequences, profile, attributes, config, **kinds, progress=progress, start=start, kept=kept)
    return fit_on(stages, sequences, config, clock=clock, progress=progress)


def fit_on(stages: Stages, sequences: Sequences, config: TrainConfig, *, clock: bool, progress: Progress) -> Fitted:
    """What `fit_model` gives, on stages that are fitted already; arguments and errors are the same."""
    held_out = stages.held_out
    hypernetwork, curves = fit_heads(held_out, config, progress)
    return Fitted(
        model=PersonalModel(described(stages, config, clock=clock), stages.final, hypernetwork, held_out.shared),
        curves={"body_loss": list(stages.body_losses), **curves},
        counts={
            "users": len(sequences),
            "events": len(sequences.items),
            "generator_users": stages.held_out_users,
            "generator_targets": len(held_out.train),
            "selection_targets": len(held_out.selection),
        },
    )


def described(stages: Stages, config: TrainConfig, *, clock: bool) -> ModelConfig:
    """What a snapshot says of a model on these stages.

    Args:
        stages: experts and targets.
        config: everything that decides.
        clock: whether event times are real.
    """
    return ModelConfig(
        clock=clock,
        body=stages.held_out.network.body.encoder.config,
        head=config.head,
        experts=expert_specs(stages.final),
        n_statistics=stages.held_out.prepared.statistics.shape[1],
        discovery=config.discovery,
    )


def fit_heads(
    held_out: HeldOut, config: TrainConfig, progress: Progress
) -> tuple[Hypernetwork, dict[str, list[float]]]:
    """Trains the generator of the configured kind on held-out targets.

    Returns:
        The generator, and its loss and selection loss an epoch.
    """
    stage = progress.stage(f"generator ({config.head.kind} heads)", config.generator.epochs)
    losses: list[float] = []
    selections: list[float] = []

    def on_epoch(epoch: int, loss: float, selection: float) -> None:
        selections.append(selection)
        if epoch:
            losses.append(loss)
            stage.advance(f"held-out loss {selection:.4f} (shared blend {selections[0]:.4f})")

    hypernetwork = fit_generator(
        held_out.network,
        held_out.prepared,
        held_out.shared,
        loss=ranking_loss(config),
        head=config.head,
        config=config.generator,
        train_rows=held_out.train,
        selection_rows=held_out.selection,
        seed=config.seed,
        on_epoch=on_epoch,
    )
    return hypernetwork, {"generator_loss": losses, "generator_selection_loss": selections}
