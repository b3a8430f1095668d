"""The whole fit: the stages up to the blend, then generator and calibration. Sees training sequences only."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from recsys.context.sequences import Sequences
from recsys.model.calibration import Calibration, fit_calibration
from recsys.model.hypernetwork import Hypernetwork
from recsys.model.personal import ModelConfig, PersonalModel, expert_specs
from recsys.training.attributes import ItemAttributes
from recsys.training.config import TrainConfig
from recsys.training.generator import fit_generator
from recsys.training.held_out import HeldOut, ranking_loss
from recsys.training.progress import Progress
from recsys.training.stages import Stages, fit_stages

_CALIBRATED_TOP = 10
_BLOCK = 256


@dataclass(frozen=True, slots=True)
class Fitted:
    """What a training run gives.

    Attributes:
        model: experts and generator, ready to score.
        calibration: logits to probabilities.
        calibration_users: ids of the users that it was fitted on.
        curves: one value an epoch, by name.
        counts: how much was trained on what.
    """

    model: PersonalModel
    calibration: Calibration
    calibration_users: tuple[str, ...]
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

    Raises:
        ConfigError: a setting needs real times, and there are none.
        DataError: too few users, items or events to train on.
        TrainingError: a loss is not finite, or a worker failed.
    """
    stages = fit_stages(sequences, profile, attributes, config, clock=clock, repeats=repeats, progress=progress)
    held_out = stages.held_out
    hypernetwork, curves = fit_heads(held_out, config, progress)
    model_config = described(stages, config, clock=clock)
    held_model = PersonalModel(model_config, held_out.network, hypernetwork, held_out.shared)
    selected = np.unique(held_out.targets.users[held_out.selection.numpy()])
    return Fitted(
        model=PersonalModel(model_config, stages.final, hypernetwork, held_out.shared),
        calibration=calibrate(held_model, held_out, sequences),
        calibration_users=tuple(sequences.user_ids[user] for user in selected),
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


@torch.no_grad()
def calibrate(model: PersonalModel, held_out: HeldOut, sequences: Sequences) -> Calibration:
    """Fitted on the selection users, who trained no head; a context counts once, however many items follow it.

    Args:
        model: with the experts that do not know the targets.
        held_out: their targets.
        sequences: those that the targets were drawn from.
    """
    targets, prepared = held_out.targets, held_out.prepared
    rows = held_out.selection.numpy()
    complete = rows[targets.complete[rows]]  # whoever is served shows all there is
    rows = complete if len(complete) else rows
    contexts = np.stack([targets.users[rows], targets.lengths[rows], targets.keep[rows]])
    rows = rows[np.sort(np.unique(contexts, axis=1, return_index=True)[1])]
    softmax, hits = [], []
    for part in np.split(rows, range(_BLOCK, len(rows), _BLOCK)):
        batch = torch.from_numpy(part)
        outputs = prepared.outputs(batch)
        head = model.hypernetwork(model.hypernetwork.inputs(prepared.statistics[batch], outputs.states))
        scores = model.network.score(outputs, head)
        if not sequences.baskets:  # in a basket the masked ones are the target's companions, which count as hits
            scores = scores.masked_fill(prepared.masked[batch], -torch.inf)
        top = torch.softmax(scores, dim=1).topk(min(_CALIBRATED_TOP, scores.shape[1]), dim=1)
        following = torch.zeros_like(scores, dtype=torch.bool)
        row, item = targets.take(part).what_follows(sequences)
        following[torch.from_numpy(row), torch.from_numpy(item - 1)] = True
        softmax.append(top.values.numpy())
        hits.append(following.gather(1, top.indices).numpy())
    lists, came = np.concatenate(softmax), np.concatenate(hits)
    return fit_calibration(lists, came, baskets=sequences.baskets)
