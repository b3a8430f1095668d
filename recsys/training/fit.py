"""The stages in order: experts, shared blend, generator, calibration. Sees training sequences only."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from recsys.context.sequences import Sequences, prefix_contexts
from recsys.errors import ConfigError, DataError
from recsys.model.calibration import Calibration, fit_calibration
from recsys.model.hypernetwork import Hypernetwork
from recsys.model.personal import ModelConfig, PersonalModel, expert_specs
from recsys.model.scoring import ScoringNetwork, expert_scales
from recsys.training.attributes import ItemAttributes
from recsys.training.config import TrainConfig
from recsys.training.experts import closed_form_fits, fit_body_expert, fit_closed_form
from recsys.training.generator import fit_generator
from recsys.training.held_out import HeldOut, draw_targets, held_out_users, hold_out, ranking_loss
from recsys.training.progress import Progress
from recsys.training.targets import Prepared

MINIMUM_ITEMS = 2
_SCALE_SAMPLE = 512
_CALIBRATED_TOP = 10


@dataclass(frozen=True, slots=True)
class Fitted:
    """What a training run gives.

    Attributes:
        model: experts and generator, ready to score.
        calibration: logits to probabilities.
        curves: one value an epoch, by name.
        counts: how much was trained on what.
    """

    model: PersonalModel
    calibration: Calibration
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

    A share of the users is kept from the body and, for the generator's sake, from the closed-form experts: their next
    items are the targets of the shared blend and of the generator. The closed-form experts are then fitted again on
    everyone; the body, whose basis the generator is bound to, is not.

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
    n_items = attributes.n_items
    if n_items < MINIMUM_ITEMS:
        raise DataError(f"Only {n_items} item has positive events; at least {MINIMUM_ITEMS} are needed to rank.")
    if config.popularity.half_life_days is not None and not clock:
        raise ConfigError("popularity.half_life_days needs real times, and these events have only an order. Unset it.")
    rng = np.random.default_rng(config.seed)
    held = held_out_users(sequences, config.generator.held_out_users, rng)
    fit_on = sequences.take(np.flatnonzero(~held))
    body = fit_body_expert(fit_on, attributes, config, progress, clock=clock)
    kinds = {"clock": clock, "repeats": repeats}
    experts = fit_closed_form(
        closed_form_fits(fit_on, attributes, config, **kinds), progress, "without the generator's users"
    )
    torch.manual_seed(config.seed)
    bases = torch.randn(2, config.body.width, config.head.rank) * config.body.width**-0.5
    targets = draw_targets(sequences, held, config, rng, n_experts=len(experts) + 1, n_items=n_items)
    sample = targets.take(np.arange(min(_SCALE_SAMPLE, len(targets))))
    scales = expert_scales(
        body.expert,
        experts,
        prefix_contexts(sequences, sample.users, sample.lengths, profile, history_length=config.history_length),
    )
    network = ScoringNetwork(body.expert, experts, scales, bases)
    held_out = hold_out(network, sequences, targets, profile, config, rng, progress, **kinds)
    hypernetwork, curves = _generator(held_out, config, progress)
    everyone = fit_closed_form(closed_form_fits(sequences, attributes, config, **kinds), progress, "everyone")
    final = ScoringNetwork(body.expert, everyone, held_out.network.scales, bases)
    model_config = ModelConfig(
        clock=clock,
        body=body.expert.encoder.config,
        head=config.head,
        experts=expert_specs(final),
        n_statistics=held_out.prepared.statistics.shape[1],
    )
    held_model = PersonalModel(model_config, held_out.network, hypernetwork, held_out.shared)
    return Fitted(
        model=PersonalModel(model_config, final, hypernetwork, held_out.shared),
        calibration=_calibrate(held_model, held_out.prepared, held_out.selection),
        curves={"body_loss": list(body.losses), **curves},
        counts={
            "users": len(sequences),
            "events": len(sequences.items),
            "generator_users": int(held.sum()),
            "generator_targets": len(held_out.train),
            "selection_targets": len(held_out.selection),
        },
    )


def _generator(
    held_out: HeldOut, config: TrainConfig, progress: Progress
) -> tuple[Hypernetwork, dict[str, list[float]]]:
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
def _calibrate(model: PersonalModel, prepared: Prepared, rows: torch.Tensor) -> Calibration:
    softmax, hits = [], []
    for batch in torch.split(rows, 256):
        outputs = prepared.outputs(batch)
        head = model.hypernetwork(model.hypernetwork.inputs(prepared.statistics[batch], outputs.states))
        scores = model.network.score(outputs, head).masked_fill(prepared.masked[batch], -torch.inf)
        top = torch.softmax(scores, dim=1).topk(min(_CALIBRATED_TOP, scores.shape[1]), dim=1)
        softmax.append(top.values.flatten().numpy())
        hits.append((top.indices == prepared.items[batch][:, None]).flatten().numpy())
    return fit_calibration(np.concatenate(softmax), np.concatenate(hits).astype(np.float64))
