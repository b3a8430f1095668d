"""What a user comes back to: personal frequency with recency. Nothing is fitted; it knows no other user, no heads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal, Self

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from recsys.context.batch import ContextBatch
from recsys.experts.part import part_of

_DAY = 86_400 * 1_000_000


class RepeatConfig(BaseModel):
    """Settings of the repeat expert."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    half_life_days: float | None = Field(default=200.0, gt=0)
    """After how many days an event counts half, with a clock; None counts all alike."""
    half_life_events: float | None = Field(default=100.0, gt=0)
    """After how many later events an event counts half, without a clock; None counts all alike."""
    age: Literal["days", "events"] = "days"
    """What age is counted in; "events" where the workspace has no clock."""


class RepeatExpert:
    """log(1 + Σ 0.5^(age / half-life)) over the user's events of an item.

    Age runs up to the newest event of the context, never to the target. The events of the history tensor count
    exactly. Of the older ones only their number and the item's last time are known: they count as of that time, or as
    of the oldest event of the history, whichever is earlier. Aged in events, they count as just before the history.

    Args:
        n_items: size of the vocabulary.
        config: the settings.
    """

    kind: ClassVar[str] = "repeat"
    logarithmic: ClassVar[bool] = False

    def __init__(self, n_items: int, config: RepeatConfig) -> None:
        self.n_items = n_items
        self.config = config

    def score(self, context: ContextBatch) -> Tensor:
        """(batch, n_items) float32; 0 for an item that the user has no positive event of."""
        return torch.log1p(self.weighted_counts(context)).float()

    def score_at(self, context: ContextBatch, columns: Tensor) -> Tensor:
        """(1, columns) float32 at some columns, see `Expert.score_at`."""
        part = part_of(context, columns)
        return RepeatExpert(len(part.columns), self.config).score(part.context)[:, part.places]

    def weighted_counts(self, context: ContextBatch) -> Tensor:
        """(batch, n_items) float64 sum of each item's decayed events."""
        history = context.history
        there = (history > 0).double()
        ages, older = self._ages(context)
        sums = history.new_zeros(len(context), self.n_items + 1, dtype=torch.float64)
        counted = sums.scatter_add(1, history, there)
        sums.scatter_add_(1, history, there * self._weight(ages))

        rows = torch.repeat_interleave(torch.arange(len(context)), context.seen_offsets.diff())
        rest = (context.seen_counts - counted[rows, context.seen]).clamp(min=0)
        sums.index_put_((rows, context.seen), rest * self._weight(older), accumulate=True)
        return sums[:, 1:]

    def tensors(self) -> Mapping[str, Tensor]:
        """The size of the vocabulary; all else is in the config."""
        return {"n_items": torch.tensor([self.n_items])}

    def settings(self) -> Mapping[str, object]:
        """The configuration."""
        return self.config.model_dump()

    @classmethod
    def rebuild(cls, settings: Mapping[str, object], tensors: Mapping[str, Tensor]) -> Self:
        """The inverse of `settings` and `tensors`."""
        return cls(int(tensors["n_items"][0]), RepeatConfig.model_validate(settings))

    def _ages(self, context: ContextBatch) -> tuple[Tensor, Tensor]:
        """(batch, length) age of each event of the history, and (total,) that of each seen item's older events."""
        batch, length = context.history.shape
        widths = context.seen_offsets.diff()
        if self.config.age == "events":
            ages = torch.arange(length - 1, -1, -1).expand(batch, length)
            return ages, torch.repeat_interleave((context.history > 0).sum(1), widths)
        there = context.history > 0
        latest = torch.iinfo(torch.int64).max
        newest = torch.where(there, context.times, -latest).amax(1)
        oldest = torch.where(there, context.times, latest).amin(1)
        before = torch.minimum(context.seen_last, torch.repeat_interleave(oldest, widths))
        known = torch.repeat_interleave(there.any(1), widths)
        older = torch.where(known, torch.repeat_interleave(newest, widths) - before, 0)
        return torch.where(there, newest[:, None] - context.times, 0) / _DAY, older / _DAY

    def _weight(self, ages: Tensor) -> Tensor:
        half_life = self.config.half_life_days if self.config.age == "days" else self.config.half_life_events
        if half_life is None:
            return torch.ones_like(ages, dtype=torch.float64)
        return 0.5 ** (ages.double().clamp(min=0) / half_life)
