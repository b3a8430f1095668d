"""Whether an item is new to the user. By itself it ranks nothing; its gain is how much somebody likes to try things."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Self

import torch
from torch import Tensor

from recsys.context.batch import ContextBatch
from recsys.experts.part import part_of


class NoveltyExpert:
    """0 for items that the user has positive events of, 1 for the others.

    Items that were only touched in another way count as new, as they do for the user's record.

    Args:
        n_items: size of the vocabulary.
    """

    kind: ClassVar[str] = "novelty"
    logarithmic: ClassVar[bool] = False

    def __init__(self, n_items: int) -> None:
        self.n_items = n_items

    def score(self, context: ContextBatch) -> Tensor:
        """(batch, n_items) float32."""
        scores = torch.ones(len(context), self.n_items)
        rows = torch.repeat_interleave(torch.arange(len(context)), context.seen_offsets.diff())
        counted = context.seen_counts > 0
        scores[rows[counted], context.seen[counted] - 1] = 0.0
        row, place = (context.history > 0).nonzero(as_tuple=True)
        scores[row, context.history[row, place] - 1] = 0.0
        return scores

    def score_at(self, context: ContextBatch, columns: Tensor) -> Tensor:
        """(1, columns) float32 at some columns, see `Expert.score_at`."""
        part = part_of(context, columns)
        return NoveltyExpert(len(part.columns)).score(part.context)[:, part.places]

    def tensors(self) -> Mapping[str, Tensor]:
        """The size of the vocabulary."""
        return {"n_items": torch.tensor([self.n_items])}

    def settings(self) -> Mapping[str, object]:
        """Nothing more."""
        return {}

    @classmethod
    def rebuild(cls, settings: Mapping[str, object], tensors: Mapping[str, Tensor]) -> Self:
        """The inverse of `tensors`."""
        return cls(int(tensors["n_items"][0]))
