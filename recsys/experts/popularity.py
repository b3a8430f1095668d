"""What is popular, with recent events counting more where the data have a clock. Knows no user."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Self

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from recsys.context.batch import ContextBatch
from recsys.context.sequences import Sequences

_DAY = 86_400 * 1_000_000


class PopularityConfig(BaseModel):
    """Settings of the popularity expert."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    half_life_days: float | None = Field(default=None, gt=0)
    """After how many days an event counts half; None counts all alike (the only choice without a clock)."""


class PopularityExpert:
    """The same log-popularity for everyone.

    Args:
        log_counts: (n_items,) float32, log(1 + weighted count).
    """

    kind: ClassVar[str] = "popularity"
    logarithmic: ClassVar[bool] = False

    def __init__(self, log_counts: Tensor) -> None:
        self.log_counts = log_counts

    def score(self, context: ContextBatch) -> Tensor:
        """(batch, n_items) float32."""
        return self.log_counts.expand(len(context), -1)

    def score_at(self, context: ContextBatch, columns: Tensor) -> Tensor:
        """(1, columns) float32 at some columns, see `Expert.score_at`."""
        return self.log_counts[columns].expand(len(context), -1)

    def tensors(self) -> Mapping[str, Tensor]:
        """The log-counts."""
        return {"log_counts": self.log_counts}

    def settings(self) -> Mapping[str, object]:
        """Nothing more."""
        return {}

    @classmethod
    def rebuild(cls, settings: Mapping[str, object], tensors: Mapping[str, Tensor]) -> Self:
        """The inverse of `tensors`."""
        return cls(tensors["log_counts"])


def fit_popularity(sequences: Sequences, n_items: int, config: PopularityConfig) -> PopularityExpert:
    """Sums the weights of each item's events, halved every half-life before the newest event."""
    weights = sequences.values.astype(np.float64)
    if config.half_life_days is not None and len(sequences.times):
        age = (sequences.times.max() - sequences.times) / _DAY
        weights *= 0.5 ** (age / config.half_life_days)
    counts = np.bincount(sequences.items - 1, weights=weights, minlength=n_items)
    return PopularityExpert(torch.from_numpy(np.log1p(counts).astype(np.float32)))
