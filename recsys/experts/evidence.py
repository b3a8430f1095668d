"""What a memory of few weights says of one context: something of some items, and of all others nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Evidence:
    """Scores where there are any.

    Attributes:
        columns: (said,) int64 score columns, ascending, all different.
        scores: (said,) float32.
    """

    columns: Tensor
    scores: Tensor

    @classmethod
    def summed(cls, columns: Tensor, addends: Tensor) -> Self:
        """What addends come to.

        Args:
            columns: (entries,) int64, with repetitions.
            addends: (entries,) float32.
        """
        own, place = torch.unique(columns, return_inverse=True)
        return cls(own, torch.zeros(len(own)).scatter_add_(0, place, addends))

    def at(self, columns: Tensor) -> Tensor:
        """(1, asked) float32 at some columns, 0 where nothing is said.

        Args:
            columns: (asked,) int64 score columns.
        """
        if not len(self.columns):
            return torch.zeros(1, len(columns))
        place = torch.searchsorted(self.columns, columns).clamp_(max=len(self.columns) - 1)
        return torch.where(self.columns[place] == columns, self.scores[place], 0.0)[None]

    def most(self, number: int) -> Tensor:
        """(at most number,) int64 columns with the largest scores."""
        return self.columns[self.scores.topk(min(number, len(self.columns))).indices]
