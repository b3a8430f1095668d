"""The loop that every head is fitted by: shuffled steps on targets, the epoch chosen by the loss on other users'."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from recsys.errors import TrainingError

Losses = Callable[[Tensor], tuple[Tensor, Tensor]]
"""(rows,) int64 targets to their mean loss and to the penalty on what is fitted."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """How long and in which steps.

    Attributes:
        epochs: most passes.
        patience: passes without a better selection loss before it stops.
        batch_size: targets a step.
        learning_rate: of AdamW.
        penalty_weight: of the penalty beside the loss.
    """

    epochs: int
    patience: int
    batch_size: int
    learning_rate: float
    penalty_weight: float


def fit_selected(
    module: nn.Module,
    losses: Losses,
    schedule: Schedule,
    *,
    train_rows: Tensor,
    selection_rows: Tensor,
    seed: int,
    on_epoch: Callable[[int, float, float], None],
) -> None:
    """Fits the module and leaves it at its best epoch; epoch 0 is how it came.

    Args:
        module: what is fitted.
        losses: of targets under the module as it is.
        schedule: how long and in which steps.
        train_rows: (rows,) int64 targets to learn from.
        selection_rows: (rows,) int64 targets of other users, to choose the epoch by.
        seed: of the order of targets.
        on_epoch: told epoch, training loss (NaN at 0) and selection loss.

    Raises:
        TrainingError: a loss is not finite.
    """
    generator = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.AdamW(module.parameters(), lr=schedule.learning_rate, weight_decay=0.01)
    best_loss, waited = _mean_loss(losses, selection_rows, schedule.batch_size), 0
    best = copy.deepcopy(module.state_dict())
    on_epoch(0, float("nan"), best_loss)
    for epoch in range(1, schedule.epochs + 1):
        total = 0.0
        order = train_rows[torch.randperm(len(train_rows), generator=generator)]
        for rows in torch.split(order, schedule.batch_size):
            own, penalty = losses(rows)
            optimizer.zero_grad()
            (own + schedule.penalty_weight * penalty).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            total += own.item() * len(rows)
        selection = _mean_loss(losses, selection_rows, schedule.batch_size)
        if not (math.isfinite(total) and math.isfinite(selection)):
            raise TrainingError(f"The generator's loss is not finite in epoch {epoch}; nothing was registered.")
        on_epoch(epoch, total / len(train_rows), selection)
        waited += 1
        if selection < best_loss:
            best_loss, waited, best = selection, 0, copy.deepcopy(module.state_dict())
        if waited >= schedule.patience:
            break
    module.load_state_dict(best)
    module.eval()


@torch.no_grad()
def _mean_loss(losses: Losses, rows: Tensor, batch_size: int) -> float:
    parts = torch.split(rows, batch_size)
    return sum(losses(part)[0].item() * len(part) for part in parts) / max(len(rows), 1)
