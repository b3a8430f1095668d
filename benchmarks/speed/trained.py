"""How many targets the workers of a fit train on: the windows that their steps take, however often."""

from __future__ import annotations

import math

import polars as pl
import torch

from recsys.training.body_model import BodyTrainingConfig
from recsys.training.loop import ORDER, RANKS
from recsys.training.windows import dealt, ranks_of_an_epoch, steps_of_an_epoch


def targets_trained(windows: pl.DataFrame, workers: int, config: BodyTrainingConfig, seed: int) -> list[int]:
    """Targets of each epoch, all workers together, by the same draw as the fit makes.

    Args:
        windows: what `body_windows` returns.
        workers: how many share them.
        config: how the fit is configured.
        seed: the fit's.
    """
    steps = math.ceil(int(windows["items"].list.len().sum()) / config.batch_events)
    found = [0] * config.epochs
    for rank, share in enumerate(dealt(windows, workers)):
        own = torch.from_numpy(share["items"].list.len().cast(pl.Int64).to_numpy().copy())
        order = torch.Generator().manual_seed(seed + ORDER + rank)
        for epoch in range(config.epochs):
            ranks = ranks_of_an_epoch(steps, seed + RANKS + epoch + 1)
            taken = steps_of_an_epoch(own, max(config.batch_events // workers, 1), ranks, order)
            found[epoch] += sum(int((own[rows] - 1).sum()) for rows in taken)
    return found
