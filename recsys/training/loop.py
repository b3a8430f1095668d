"""The body's training loop. It is told its share of the data and of the world, and knows nothing of Ray."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.distributed.optim import (  # type: ignore[attr-defined]
    _apply_optimizer_in_backward as apply_optimizer_in_backward,
)
from torchrec.optim.rowwise_adagrad import RowWiseAdagrad

from recsys.errors import TrainingError
from recsys.experts.body import BodyConfig
from recsys.training.body_model import BodyTrainingConfig, TrainableBody
from recsys.training.sharding import gathered_items, shard

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
        items: (n_items + 1, width) item vectors; row 0 (padding) is zero.
        encoder: the encoder's parameters by name.
    """

    items: Tensor
    encoder: dict[str, Tensor]


def fit_body(
    windows: np.ndarray,
    *,
    total_windows: int,
    n_items: int,
    body: BodyConfig,
    config: BodyTrainingConfig,
    world: World,
    seed: int,
    on_epoch: Callable[[int, float], None],
) -> FittedBody | None:
    """Fits the body on this worker's share of the sequences.

    Args:
        windows: (rows, length + 1) int64 item index, left-aligned, 0 = padding; this worker's share alone.
        total_windows: rows over all workers; every worker makes the same number of steps.
        n_items: size of the vocabulary.
        body: shape of the body.
        config: how to train.
        world: this worker's place.
        seed: of weights, order and negatives.
        on_epoch: told the epoch (from 1) and its mean loss in nats, on every worker.

    Returns:
        The fitted body on worker 0, None on the others.

    Raises:
        TrainingError: the loss is not finite.
    """
    torch.manual_seed(seed)
    model = TrainableBody(body, n_items, device=torch.device("meta"))
    rate = {"lr": config.table_learning_rate}
    apply_optimizer_in_backward(RowWiseAdagrad, model.tables.parameters(), rate)
    sharded = shard(model, world.device)
    dense = [parameter for name, parameter in sharded.named_parameters() if "tables." not in name]
    optimizer = torch.optim.AdamW(dense, lr=config.learning_rate, weight_decay=config.weight_decay)
    local_batch = max(config.batch_size // world.size, 1)
    steps = math.ceil(math.ceil(total_windows / world.size) / local_batch)
    total_steps = config.epochs * steps
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer,
        config.learning_rate,
        total_steps=total_steps,
        pct_start=_WARM_UP if total_steps >= _FEW_STEPS else 0.0,
    )
    torch.manual_seed(seed + 1_000 + world.rank)
    rows = torch.from_numpy(windows)
    for epoch in range(1, config.epochs + 1):
        sharded.train()
        total, count = 0.0, 0
        order = _cycled(torch.randperm(len(rows)), steps * local_batch)
        for batch in torch.split(order, local_batch):
            chosen = rows[batch]
            chosen = chosen[:, : max(int((chosen > 0).sum(1).max()), 2)].to(world.device)
            negatives = torch.randint(1, n_items + 1, (config.negatives,), device=world.device)
            loss, events = sharded(chosen, negatives)
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
    return _plain(sharded, world)


def _cycled(order: Tensor, length: int) -> Tensor:
    """`order` repeated until it has `length` entries, so that workers with fewer rows make as many steps."""
    return order.repeat(math.ceil(length / max(len(order), 1)))[:length]


def _plain(sharded: torch.nn.Module, world: World) -> FittedBody | None:
    items = gathered_items(sharded, world.rank)
    if items is None:
        return None
    items[0] = 0
    encoder = {
        name.split("encoder.", 1)[1]: parameter.detach().cpu().clone()
        for name, parameter in sharded.state_dict().items()
        if "encoder." in name
    }
    return FittedBody(items, encoder)
