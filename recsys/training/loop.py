"""The body's training loop. It is told its share of the data and of the world, and knows nothing of Ray."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.distributed.optim import (  # type: ignore[attr-defined]
    _apply_optimizer_in_backward as apply_optimizer_in_backward,
)
from torchrec.optim.rowwise_adagrad import RowWiseAdagrad

from recsys.errors import TrainingError
from recsys.experts.body import BodyConfig
from recsys.training.attributes import ItemAttributes
from recsys.training.body_model import ATTRIBUTE_TABLE, ITEM_TABLE, BodyTrainingConfig, TrainableBody
from recsys.training.body_start import BodyStart, begin_from
from recsys.training.sharding import gathered_vectors, shard
from recsys.training.windows import Windows, steps_of_an_epoch

_CLIP = 1.0
_WARM_UP = 0.1
_FEW_STEPS = 20
"""With fewer there is no warm-up: a tenth of ten steps is one step of no length, which OneCycleLR divides by."""


@dataclass(frozen=True, slots=True)
class World:
    """This worker's place.

    Attributes:
        rank: 0 for the first worker.
        size: how many workers there are.
        device: where to compute.
    """

    rank: int
    size: int
    device: torch.device


@dataclass(frozen=True, slots=True)
class FittedBody:
    """What training gives, in plain tensors.

    Attributes:
        items: (n_items + 1, width) item vectors with their attributes' added in; row 0 (padding) is zero.
        encoder: the encoder's parameters by name.
    """

    items: Tensor
    encoder: dict[str, Tensor]


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
        on_epoch: told the epoch (from 1) and its mean loss in nats, on every worker.
        start: what it begins from; None: from nothing.
        on_body: shown the body as it is after each epoch, on worker 0.

    Returns:
        The fitted body on worker 0, None on the others.

    Raises:
        TrainingError: the loss is not finite.
    """
    torch.manual_seed(seed)
    model = TrainableBody(body, attributes, device=torch.device("meta"))
    rate = {"lr": config.table_learning_rate}
    apply_optimizer_in_backward(RowWiseAdagrad, model.tables.parameters(), rate)
    sharded = shard(model, world.device)
    if start is not None:
        begin_from(sharded, start)
    dense = [parameter for name, parameter in sharded.named_parameters() if "tables." not in name]
    optimizer = torch.optim.AdamW(dense, lr=config.learning_rate, weight_decay=config.weight_decay)
    steps = math.ceil(total_events / config.batch_events)
    total_steps = config.epochs * steps
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer,
        config.learning_rate,
        total_steps=total_steps,
        pct_start=_WARM_UP if total_steps >= _FEW_STEPS else 0.0,
    )
    half = multiplies_half(config, world.device)
    torch.manual_seed(seed + 1_000 + world.rank)
    order = torch.Generator().manual_seed(seed + 2_000 + world.rank)
    lengths, local_events = windows.lengths, max(config.batch_events // world.size, 1)
    for epoch in range(1, config.epochs + 1):
        sharded.train()
        total, count = 0.0, 0
        for rows in steps_of_an_epoch(lengths, local_events, steps, order):
            longest = max(int(lengths[rows].max()), 2)
            items = windows.items[rows, :longest].to(world.device)
            times = windows.times[rows, :longest].to(world.device)
            negatives = torch.randint(1, attributes.n_items + 1, (config.negatives,), device=world.device)
            loss, events = sharded(items, times, negatives, half=half)
            optimizer.zero_grad()
            (loss / events.clamp(min=1)).backward()
            torch.nn.utils.clip_grad_norm_(dense, _CLIP)
            optimizer.step()
            schedule.step()
            total, count = total + loss.item(), count + int(events)
        if not math.isfinite(total):
            raise TrainingError(
                f"The body's loss is not finite in epoch {epoch}; nothing was registered. "
                "Lower body_training.learning_rate."
            )
        on_epoch(epoch, total / max(count, 1))
        if on_body is not None and (body_now := _plain(sharded, attributes, world)) is not None:
            on_body(epoch, body_now)
    return _plain(sharded, attributes, world)


def multiplies_half(config: BodyTrainingConfig, device: torch.device) -> bool:
    """Whether training multiplies in bfloat16 here."""
    if config.precision != "auto":
        return config.precision == "bfloat16"
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


def _plain(sharded: torch.nn.Module, attributes: ItemAttributes, world: World) -> FittedBody | None:
    tables = gathered_vectors(sharded, world.rank)
    if tables is None:
        return None
    items = tables[ITEM_TABLE]
    if attributes.n_attributes:
        described, owner = attributes.of(torch.arange(attributes.n_items + 1))
        shares = attributes.share[owner][:, None]
        items = items.index_add(0, owner, tables[ATTRIBUTE_TABLE][described] * shares)
    items[0] = 0
    encoder = {
        name.split("encoder.", 1)[1]: parameter.detach().cpu().clone()
        for name, parameter in sharded.state_dict().items()
        if "encoder." in name
    }
    return FittedBody(items, encoder)
