"""The stages in order: experts, shared blend, generator, calibration. Sees training sequences only."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from recsys.context.sequences import Sequences, prefix_contexts
from recsys.errors import ConfigError, DataError
from recsys.experts.memory import SequenceMemory
from recsys.experts.popularity import PopularityExpert
from recsys.model.calibration import Calibration, fit_calibration
from recsys.model.personal import MEMORY, POPULARITY, ModelConfig, PersonalModel
from recsys.model.scoring import ScoringNetwork, expert_scales
from recsys.training.config import TrainConfig
from recsys.training.experts import fit_body_expert, fit_closed_form
from recsys.training.generator import fit_generator, fit_shared_head
from recsys.training.progress import Progress
from recsys.training.targets import Prepared, Targets, held_out_targets, prepare

MINIMUM_USERS = 10
MINIMUM_ITEMS = 2
_SHARED_SAMPLE = 4_000
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
    n_items: int,
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
        n_items: size of the vocabulary.
        config: everything that decides.
        clock: whether event times are real.
        repeats: whether items repeat.
        progress: told how far it is.

    Raises:
        ConfigError: a setting needs real times, and there are none.
        DataError: too few users, items or events to train on.
        TrainingError: a loss is not finite, or a worker failed.
    """
    if n_items < MINIMUM_ITEMS:
        raise DataError(f"Only {n_items} item has positive events; at least {MINIMUM_ITEMS} are needed to rank.")
    if config.popularity.half_life_days is not None and not clock:
        raise ConfigError("popularity.half_life_days needs real times, and these events have only an order. Unset it.")
    rng = np.random.default_rng(config.seed)
    held = _held_out_users(sequences, config.generator.held_out_users, rng)
    fit_on = sequences.take(np.flatnonzero(~held))
    body = fit_body_expert(fit_on, n_items, config, progress)
    experts = fit_closed_form(fit_on, n_items, config, progress, "without the generator's users")
    targets = _targets(sequences, held, config, rng)
    sample = prefix_contexts(
        sequences, targets.users[:512], targets.lengths[:512], profile, history_length=config.history_length
    )
    torch.manual_seed(config.seed)
    bases = torch.randn(2, config.body.width, config.head.rank) * config.body.width**-0.5
    network = ScoringNetwork(body.expert, experts, expert_scales(body.expert, experts, sample), bases)
    popularity = experts[POPULARITY]
    assert isinstance(popularity, PopularityExpert)
    prepared = prepare(
        network,
        sequences,
        targets,
        profile,
        popularity.log_counts,
        history_length=config.history_length,
        clock=clock,
        repeats=repeats,
    )
    train_rows, selection_rows = _split(targets, config, rng)
    shared = fit_shared_head(
        network, prepared, train_rows[torch.from_numpy(rng.permutation(len(train_rows)))][:_SHARED_SAMPLE]
    )
    stage = progress.stage(f"generator ({config.head.kind} heads)", config.generator.epochs)
    losses: list[float] = []
    selections: list[float] = []

    def on_epoch(epoch: int, loss: float, selection: float) -> None:
        selections.append(selection)
        if epoch:
            losses.append(loss)
            stage.advance(f"held-out loss {selection:.4f} (shared blend {selections[0]:.4f})")

    hypernetwork = fit_generator(
        network,
        prepared,
        shared,
        head=config.head,
        config=config.generator,
        train_rows=train_rows,
        selection_rows=selection_rows,
        seed=config.seed,
        on_epoch=on_epoch,
    )
    everyone = fit_closed_form(sequences, n_items, config, progress, "everyone")
    memory = everyone[MEMORY]
    assert isinstance(memory, SequenceMemory)
    final = ScoringNetwork(body.expert, everyone, network.scales, bases)
    model_config = ModelConfig(
        clock=clock,
        body=config.body,
        head=config.head,
        memory_decays=memory.decays,
        memory_windows=memory.windows,
        long_term_decay=config.long_term.decay,
        n_statistics=prepared.statistics.shape[1],
    )
    held_model = PersonalModel(model_config, network, hypernetwork, shared)
    return Fitted(
        model=PersonalModel(model_config, final, hypernetwork, shared),
        calibration=_calibrate(held_model, prepared, selection_rows),
        curves={"body_loss": list(body.losses), "generator_loss": losses, "generator_selection_loss": selections},
        counts={
            "users": len(sequences),
            "events": len(sequences.items),
            "generator_users": int(held.sum()),
            "generator_targets": len(train_rows),
            "selection_targets": len(selection_rows),
        },
    )


def _held_out_users(sequences: Sequences, share: float, rng: np.random.Generator) -> np.ndarray:
    """(users,) bool: whose events no expert is fitted on while the generator is trained."""
    usable = np.flatnonzero(sequences.lengths >= 2)
    if len(usable) < MINIMUM_USERS:
        raise DataError(
            f"Only {len(usable)} users have two or more training events (each user's last two are kept for validation "
            f"and test); at least {MINIMUM_USERS} are needed to train."
        )
    held = np.zeros(len(sequences), dtype=bool)
    held[rng.permutation(usable)[: max(round(len(usable) * share), 3)]] = True
    return held


def _targets(sequences: Sequences, held: np.ndarray, config: TrainConfig, rng: np.random.Generator) -> Targets:
    per_user = np.where(held, np.minimum(sequences.lengths - 1, config.generator.targets_per_user), 0)
    return held_out_targets(
        sequences, np.maximum(per_user, 0), config.generator.max_targets, rng, config.generator.keeps
    )


def _split(targets: Targets, config: TrainConfig, rng: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Rows to train on and rows, of other users, to select the epoch and calibrate on."""
    users = rng.permutation(np.unique(targets.users))
    chosen = users[: max(round(len(users) * config.generator.selection_share), 1)]
    selection = np.isin(targets.users, chosen)
    return torch.from_numpy(np.flatnonzero(~selection)), torch.from_numpy(np.flatnonzero(selection))


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
