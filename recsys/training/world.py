"""A worker's place among the workers."""

from __future__ import annotations

from dataclasses import dataclass

import torch


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
