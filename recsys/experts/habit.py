"""What a user buys again: a softmax regression on the user's own record of each item. Knows no other user, no heads.

Where `repeat` counts by one half-life, this one learns how much each horizon says and which items are habits at all.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal, Self

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from recsys.context.batch import ContextBatch
from recsys.experts.part import part_of
from recsys.experts.repeat import RepeatConfig, RepeatExpert

_SOFT_ZERO = 1e-3
"""Added to a decayed count before its logarithm."""


class HabitConfig(BaseModel):
    """Settings of the habit expert."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    half_lives: tuple[Annotated[float, Field(gt=0)], ...] = Field(default=(10.0, 30.0, 90.0, 250.0), min_length=1)
    """After how many days, or later events without a clock, an event counts half; one decayed count each."""
    targets_per_user: int = Field(default=6, ge=1)
    """So many of each user's last baskets, or last events, are learned from."""
    max_targets: int = Field(default=20_000, ge=1)
    """At most so many in all, drawn at random."""
    weight_penalty: float = Field(default=1e-4, ge=0)
    """Of the squared weights."""
    item_penalty: float = Field(default=3e-4, gt=0)
    """Of the squared intercepts of items."""
    age: Literal["days", "events"] = "days"
    """What half-lives are counted in; "events" where the workspace has no clock."""


class HabitExpert:
    """Logits of the next item: of an item that the user has positive events of, w · record + intercept of the item.

    A record holds the logarithms of the item's decayed counts and of the user's events. Items that the user has no
    positive event of share one logit.

    Args:
        weights: (half-lives + 2,) float32, of `records`.
        intercepts: (n_items,) float32.
        unseen: () float32 logit of every other item.
        config: the settings.
    """

    kind: ClassVar[str] = "habit"
    logarithmic: ClassVar[bool] = False

    def __init__(self, weights: Tensor, intercepts: Tensor, unseen: Tensor, config: HabitConfig) -> None:
        self.weights = weights
        self.intercepts = intercepts
        self.unseen = unseen
        self.config = config

    def score(self, context: ContextBatch) -> Tensor:
        """(batch, n_items) float32."""
        rows, columns, numbers = records(context, len(self.intercepts), self.config)
        scores = self.unseen.expand(len(context), len(self.intercepts)).clone()
        scores[rows, columns] = numbers @ self.weights + self.intercepts[columns]
        return scores

    def score_at(self, context: ContextBatch, columns: Tensor) -> Tensor:
        """(1, columns) float32 at some columns, see `Expert.score_at`."""
        part = part_of(context, columns)
        own = HabitExpert(self.weights, self.intercepts[part.columns], self.unseen, self.config)
        return own.score(part.context)[:, part.places]

    def tensors(self) -> Mapping[str, Tensor]:
        """All that was fitted."""
        return {"weights": self.weights, "intercepts": self.intercepts, "unseen": self.unseen}

    def settings(self) -> Mapping[str, object]:
        """The configuration."""
        return self.config.model_dump(mode="json")

    @classmethod
    def rebuild(cls, settings: Mapping[str, object], tensors: Mapping[str, Tensor]) -> Self:
        """The inverse of `settings` and `tensors`."""
        config = HabitConfig.model_validate(settings)
        weights = tensors["weights"]
        if len(weights) != len(config.half_lives) + 2:
            raise ValueError(f"{len(weights)} weights for {len(config.half_lives)} half-lives and two more")
        return cls(weights, tensors["intercepts"], tensors["unseen"], config)


def records(context: ContextBatch, n_items: int, config: HabitConfig) -> tuple[Tensor, Tensor, Tensor]:
    """Each context's record of each item that it has positive events of.

    Args:
        context: the batch.
        n_items: size of the vocabulary.
        config: half-lives and what they are counted in.

    Returns:
        (records,) int64 row of the batch, (records,) int64 column of the item, and (records, half-lives + 2) float32:
        the logarithms of the decayed counts, of the whole count, and of the user's events.
    """
    counts = _counts(context, n_items, RepeatConfig(half_life_days=None, half_life_events=None, age=config.age))
    rows, columns = counts.nonzero(as_tuple=True)
    decayed = [
        torch.log(
            _counts(context, n_items, RepeatConfig(half_life_days=own, half_life_events=own, age=config.age))[
                rows, columns
            ]
            + _SOFT_ZERO
        )
        for own in config.half_lives
    ]
    known = torch.log1p(context.event_count.double())[rows]
    return rows, columns, torch.stack([*decayed, torch.log1p(counts[rows, columns]), known], dim=1).float()


def _counts(context: ContextBatch, n_items: int, config: RepeatConfig) -> Tensor:
    return RepeatExpert(n_items, config).weighted_counts(context)
