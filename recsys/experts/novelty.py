"""Whether an item is new to the user. By itself it ranks nothing; its gain is how much somebody likes to try things."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Self

import torch
from torch import Tensor

from recsys.context.batch import ContextBatch


class NoveltyExpert:
    """1 for items that the user never touched, 0 for the others.

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
        scores[rows, context.seen - 1] = 0.0
        return scores

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
