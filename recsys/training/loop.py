"""The body's training loop. It is told its share of the data and of the world, and knows nothing of Ray."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.distributed.optim import (  # type: ignore[attr-defined]
    _apply_optimizer_in_backward as apply_optimizer_in_backward,
)
from torchrec.optim.rowwise_adagrad import RowWiseAdagrad

from recsys.errors import TrainingError
from recsys.experts.body import BodyConfig
from recsys.failpoints import Failpoint, reached
from recsys.training.attributes import ItemAttributes
from recsys.training.body_model import BodyTrainingConfig, TrainableBody
from recsys.training.body_start import BodyStart, begin_from
from recsys.training.checkpoint import Checkpoints
from recsys.training.fit_state import FitState, Place
from recsys.training.fitted_body import FittedBody, gathered_body
from recsys.training.sharding import shard
from recsys.training.windows import Windows, ranks_of_an_epoch, steps_of_an_epoch
from recsys.training.world import World

_CLIP = 1.0
_DROPPED, ORDER, RANKS = 1_000, 2_000, 1_000_000
"""What is added to the seed for dropout and negatives and for the order of windows, beside the worker's rank, and for
the ranks of steps, beside the epoch."""
_WARM_UP = 0.1
_FEW_STEPS = 20
"""With fewer there is no warm-up: a tenth of ten steps is one step of no length, which OneCycleLR divides by."""


def fit_body(
    windows: Windows,
    *,
    total_events: int,
    attributes: ItemAttributes,
    body: BodyConfig,
    config: BodyTrainingConfig,
    world: World,
    seed: int,
    on_epoch: Callable[[int, float], None],
    start: BodyStart | None = None,
    on_body: Callable[[int, FittedBody], None] | None = None,
    checkpoints: Checkpoints | None = None,
) -> FittedBody | None:
    """Fits the body on this worker's share of the sequences.

    Args:
        windows: this worker's share alone.
        total_events: events in the windows of all workers; every worker makes the same number of steps.
        attributes: of every item; says how many items there are.
        body: shape of the body.
        config: how to train.
        world: this worker's place.
        seed: of weights, order and negatives.
        on_epoch: told the epoch (from 1) and its mean loss in nats, on every worker; epochs that a checkpoint knows
            are told again.
        start: what it begins from; None: from nothing.
        on_body: shown the body as it is after each epoch, on worker 0.
        checkpoints: where it goes on from, and leaves what it takes to go on; None: nowhere.

    Returns:
        The fitted body on worker 0, None on the others.

    Raises:
        TrainingError: the loss is not finite.
    """
    torch.manual_seed(seed)
    steps = math.ceil(total_events / config.batch_events)
    state = _begun(attributes, body, config, world, seed, config.epochs * steps, start)
    place = None if checkpoints is None else checkpoints.restore(state, seed)
    place = place or Place(state.order.get_state())
    for epoch, loss in enumerate(place.losses, start=1):
        on_epoch(epoch, loss)
    while place.epoch <= config.epochs:
        ranks = ranks_of_an_epoch(steps, seed + RANKS + place.epoch)
        _fit_epoch(state, place, windows, ranks, attributes.n_items, config, world, checkpoints)
        _check_finite(place)
        place = place.next_epoch(state.order.get_state())
        on_epoch(place.epoch - 1, place.losses[-1])
        if on_body is not None and (body_now := gathered_body(state.sharded, attributes, world.rank)) is not None:
            on_body(place.epoch - 1, body_now)
        if checkpoints is not None:
            checkpoints.write(state, place)
    return gathered_body(state.sharded, attributes, world.rank)


def _begun(
    attributes: ItemAttributes,
    body: BodyConfig,
    config: BodyTrainingConfig,
    world: World,
    seed: int,
    total_steps: int,
    start: BodyStart | None,
) -> FitState:
    """The model spread over workers, its optimisers, and sources of randomness that differ between workers."""
    # Out of this process's own memory, reading a row again is cheaper than finding out that it is the same.
    own_tables = world.size == 1 and world.device.type == "cpu"
    model = TrainableBody(body, attributes, device=torch.device("meta"), asks_once=not own_tables)
    rate = {"lr": config.table_learning_rate}
    apply_optimizer_in_backward(RowWiseAdagrad, model.tables.parameters(), rate)
    sharded = shard(model, world.device)
    if start is not None:
        begin_from(sharded, start)
    dense = [parameter for name, parameter in sharded.named_parameters() if "tables." not in name]
    optimizer = torch.optim.AdamW(dense, lr=config.learning_rate, weight_decay=config.weight_decay, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer,
        config.learning_rate,
        total_steps=total_steps,
        pct_start=_WARM_UP if total_steps >= _FEW_STEPS else 0.0,
    )
    torch.manual_seed(seed + _DROPPED + world.rank)
    order = torch.Generator().manual_seed(seed + ORDER + world.rank)
    return FitState(sharded, optimizer, schedule, order, world.device)


def _fit_epoch(
    state: FitState,
    place: Place,
    windows: Windows,
    ranks: Tensor,
    n_items: int,
    config: BodyTrainingConfig,
    world: World,
    checkpoints: Checkpoints | None,
) -> None:
    """The steps of an epoch that are not done yet; moves the place along."""
    sharded, device = state.sharded.train(), world.device
    half, dense = multiplies_half(config, device), list(state.dense.values())
    lengths, local_events = windows.lengths, max(config.batch_events // world.size, 1)
    for rows in steps_of_an_epoch(lengths, local_events, ranks, state.order)[place.step :]:
        longest = max(int(lengths[rows].max()), 2)
        items = windows.items[rows, :longest].to(device)
        times = windows.times[rows, :longest].to(device)
        negatives = _negatives(config, n_items, device)
        loss, events = sharded(items, times, negatives, half=half)
        state.optimizer.zero_grad()
        (loss / events.clamp(min=1)).backward()
        torch.nn.utils.clip_grad_norm_(dense, _CLIP)
        state.optimizer.step()
        state.schedule.step()
        place.step, place.loss, place.events = place.step + 1, place.loss + loss.item(), place.events + int(events)
        reached(Failpoint.TRAIN_STEP_DONE)
        if checkpoints is not None and checkpoints.due():
            _check_finite(place)
            checkpoints.write(state, place)


def _negatives(config: BodyTrainingConfig, n_items: int, device: torch.device) -> Tensor | None:
    """A step's negatives; None where every item is one."""
    if config.negatives >= n_items:
        return None
    return torch.randint(1, n_items + 1, (config.negatives,), device=device)


def _check_finite(place: Place) -> None:
    if not math.isfinite(place.loss):
        raise TrainingError(
            f"The body's loss is not finite in epoch {place.epoch}; nothing was registered. "
            "Lower body_training.learning_rate."
        )


def multiplies_half(config: BodyTrainingConfig, device: torch.device) -> bool:
    """Whether training multiplies in bfloat16 here."""
    if config.precision != "auto":
        return config.precision == "bfloat16"
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    return multiplies_bfloat16()


def multiplies_bfloat16() -> bool:
    """Whether the processor does so by itself; elsewhere torch turns numbers back and forth, which takes longer."""
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
