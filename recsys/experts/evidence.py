"""What memories of few weights say of one context, side by side: something of some items, and of all others nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Evidence:
    """Scores where any of the memories says anything.

    Attributes:
        columns: (said,) int64 score columns, ascending, all different.
        scores: (memories, said) float32; 0 where a memory says nothing of what another one speaks of.
    """

    columns: Tensor
    scores: Tensor

    @classmethod
    def summed(cls, memories: Sequence[tuple[Tensor, Tensor]]) -> Self:
        """What addends come to.

        Args:
            memories: of each (entries,) int64 columns, with repetitions, and (entries,) float32 addends.
        """
        if not memories:
            return cls(torch.zeros(0, dtype=torch.int64), torch.zeros(0, 0))
        columns, place = torch.unique(torch.cat([own for own, _ in memories]), return_inverse=True)
        scores = torch.zeros(len(memories), len(columns))
        start = 0
        for row, (_, addends) in zip(scores, memories, strict=True):
            row.scatter_add_(0, place[start : start + len(addends)], addends)
            start += len(addends)
        return cls(columns, scores)

    def at(self, columns: Tensor) -> Tensor:
        """(memories, asked) float32 at some columns, 0 where nothing is said.

        Args:
            columns: (asked,) int64 score columns.
        """
        if not len(self.columns):
            return torch.zeros(len(self.scores), len(columns))
        place = torch.searchsorted(self.columns, columns).clamp_(max=len(self.columns) - 1)
        return self.scores[:, place] * (self.columns[place] == columns)

    def most(self, memory: int, number: int) -> Tensor:
        """(at most number,) int64 columns with the largest scores of one memory."""
        return self.columns[self.scores[memory].topk(min(number, len(self.columns))).indices]
