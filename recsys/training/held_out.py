"""Stage two: next items that no expert was fitted on, and the best shared blend on them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch

from recsys.context.sequences import Sequences
from recsys.errors import ConfigError, DataError
from recsys.experts.linear import prefix_of_events
from recsys.model.head import HeadWeights
from recsys.model.losses import RankingLoss
from recsys.model.scoring import ScoringNetwork
from recsys.training.blend import fit_blend
from recsys.training.config import TrainConfig
from recsys.training.generator import GeneratorConfig
from recsys.training.progress import Progress
from recsys.training.targets import Prepared, Targets, held_out_targets, prepare

MINIMUM_USERS = 10


@dataclass(frozen=True, slots=True)
class HeldOut:
    """What heads are trained on, with experts that know nothing of it.

    Attributes:
        network: experts fitted without the targets, at the blend's scales.
        targets: next items that were held out.
        prepared: the same with the experts' say.
        shared: the best shared blend.
        train: (rows,) int64 targets to train on.
        selection: (rows,) int64 targets of other users, to choose the epoch by.
    """

    network: ScoringNetwork
    targets: Targets
    prepared: Prepared
    shared: HeadWeights
    train: torch.Tensor
    selection: torch.Tensor


def hold_out(
    network: ScoringNetwork,
    sequences: Sequences,
    fitted: np.ndarray,
    targets: Targets,
    profile: np.ndarray,
    config: TrainConfig,
    rng: np.random.Generator,
    progress: Progress,
    *,
    clock: bool,
    repeats: bool,
) -> HeldOut:
    """Fits the blend, whose scales the statistics depend on, and then prepares every target at these scales.

    The blend goes by complete contexts and, where there are any, by those of which the experts know some event
    (`fitted`, (events,) bool): those it will serve.
    """
    say = partial(
        prepare,
        sequences=sequences,
        profile=profile,
        history_length=config.history_length,
        clock=clock,
        repeats=repeats,
    )
    train, selection = _split(targets, config, rng)
    stage = progress.stage("shared blend and the experts' say of its targets", 2)
    known = np.concatenate([[0], np.cumsum(fitted)])
    begins = sequences.offsets[targets.users]
    familiar = known[begins + targets.lengths] > known[begins]
    shown = _preferring(_preferring(train.numpy(), targets.complete), familiar)
    sample = targets.take(np.sort(rng.permutation(shown)[: config.generator.blend_targets]))
    loss = ranking_loss(config)
    first = say(network, targets=sample)
    shared, scales = fit_blend(network, first, loss)
    stage.advance("blend")
    del first
    scaled = network.replaced(scales=scales)
    prepared = say(scaled, targets=targets)
    stage.advance(f"{len(targets):,} targets")
    return HeldOut(scaled, targets, prepared, shared, train, selection)


def _preferring(rows: np.ndarray, better: np.ndarray) -> np.ndarray:
    """Those of the rows (int64) that are better (targets,) bool, or all where none is."""
    found = rows[better[rows]]
    return found if len(found) else rows


def ranking_loss(config: TrainConfig) -> RankingLoss:
    """What blend and heads are fitted by."""
    return RankingLoss(config.generator.ndcg_weight, config.generator.ndcg_sharpness)


def target_room(config: TrainConfig, n_experts: int, n_items: int) -> int:
    """How many targets' scores (float16) and masks (one byte) fit."""
    return int(config.generator.target_gigabytes * 1e9 / (n_items * (2 * n_experts + 1)))


def kept_back(
    sequences: Sequences, config: GeneratorConfig, rng: np.random.Generator, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """What experts are fitted on while the generator is trained, and what it learns from.

    Args:
        sequences: complete training sequences.
        config: which of the two ways, and how much.
        rng: source of randomness.
        seed: of the whole fit, by which beginners are drawn.

    Returns:
        (events,) bool which events the experts are fitted on, and (events,) bool which may become targets.

    Raises:
        DataError: there are too few users with events enough.
        ConfigError: nobody has enough events for this way.
    """
    if config.hold_out == "users":
        held = _drawn_users(sequences, config.held_out_users, rng)[sequences.owners]
        return ~held, held & _among_last(sequences, config.targets_per_user)
    targets = _among_last(sequences, _last(sequences, config.held_out_events)[sequences.owners])
    if config.beginners:
        new = beginners(sequences.user_ids, config.beginners, seed)[sequences.owners]
        targets |= new & (sequences.positions <= config.beginner_events)
    fitted = ~targets
    if not (sequences.keep(fitted).known_before > 0).any():
        raise ConfigError(
            "Histories are too short to keep everybody's last events from the experts: nobody has two left. Set "
            "generator.hold_out to users."
        )
    return fitted, targets


def _among_last(sequences: Sequences, count: int | np.ndarray) -> np.ndarray:
    """(events,) bool: among its user's last `count` events (a number, or one for each event)."""
    left = sequences.offsets[1:][sequences.owners] - np.arange(len(sequences.items))
    found: np.ndarray = left <= count
    return found


def _last(sequences: Sequences, most: int) -> np.ndarray:
    """(users,) int64 events of at most so many last baskets, or at most so many last events, and of at most half."""
    basket, owner = prefix_of_events(sequences), sequences.owners
    counts = np.bincount(owner[np.unique(basket, return_index=True)[1]], minlength=len(sequences))
    from_last = counts.cumsum()[owner] - basket
    kept = from_last <= np.minimum(most, counts // 2)[owner]
    found: np.ndarray = np.bincount(owner[kept], minlength=len(sequences)).astype(np.int64)
    _require_users(sequences, int((found > 0).sum()))
    return found


def _drawn_users(sequences: Sequences, share: float, rng: np.random.Generator) -> np.ndarray:
    """(users,) bool: a share of those with anything to predict, whose events no expert is fitted on meanwhile."""
    users = sequences.owners
    usable = np.unique(users[sequences.known_before > 0])
    _require_users(sequences, len(usable))
    held = np.zeros(len(sequences), dtype=bool)
    held[rng.permutation(usable)[: max(round(len(usable) * share), 3)]] = True
    return held


def beginners(user_ids: Sequence[str], share: float, seed: int) -> np.ndarray:
    """(users,) bool: whose first events are kept from the experts. By name: the log may grow, they stay the same."""
    below = int(share * 2**64)
    drawn = (hashlib.blake2b(f"{seed} {user_id}".encode(), digest_size=8).digest() for user_id in user_ids)
    return np.array([int.from_bytes(digest) < below for digest in drawn], dtype=bool)


def _require_users(sequences: Sequences, usable: int) -> None:
    if usable < MINIMUM_USERS:
        what = "baskets" if sequences.baskets else "events"
        raise DataError(
            f"Only {usable} users have two or more training {what} (each user's last two are kept for validation "
            f"and test); at least {MINIMUM_USERS} are needed to train."
        )


def draw_targets(
    sequences: Sequences,
    targets: np.ndarray,
    config: TrainConfig,
    rng: np.random.Generator,
    *,
    n_experts: int,
    n_items: int,
) -> Targets:
    """Next items among the events (bool) that no expert was fitted on, as many as are wanted and as fit."""
    return held_out_targets(
        sequences,
        targets,
        min(config.generator.max_targets, max(target_room(config, n_experts, n_items), 1)),
        rng,
        config.generator.keeps,
        config.generator.dropped_share,
        config.generator.targets_per_basket if sequences.baskets else None,
    )


def _split(targets: Targets, config: TrainConfig, rng: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Rows to train on and rows, of other users, to select the epoch by."""
    users = rng.permutation(np.unique(targets.users))
    chosen = users[: max(round(len(users) * config.generator.selection_share), 1)]
    selection = np.isin(targets.users, chosen)
    return torch.from_numpy(np.flatnonzero(~selection)), torch.from_numpy(np.flatnonzero(selection))
