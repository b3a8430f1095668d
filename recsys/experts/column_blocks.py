"""Dense item-item weights cut into blocks of columns: the same sums, with every block in the processor's cache.

Row by row, a batch of histories reads the whole of the weights from memory once an event. For whoever scores very many
users and has room: the blocks are this process's own, where weights as they are stored are mapped and shared by all.
Knows not how the weights were found.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor
from torch.nn import functional

from recsys.experts.linear import strengths

_WIDTH = 128


@dataclass(frozen=True, slots=True)
class ColumnBlocks:
    """(n_items + 1, n_items) weights for each of some histories.

    Attributes:
        blocks: (histories, blocks, n_items + 1, columns) float32; the last block is filled up with zeros.
        n_items: items in the vocabulary.
    """

    blocks: Tensor
    n_items: int

    @classmethod
    def of(cls, dense: Tensor) -> Self:
        """A copy of the weights in blocks.

        Args:
            dense: (histories, n_items + 1, n_items) float32.
        """
        histories, rows, n_items = dense.shape
        count = -(-n_items // _WIDTH)
        blocks = dense.new_zeros(histories, count, rows, _WIDTH)
        for place, part in enumerate(torch.split(dense, _WIDTH, dim=2)):
            blocks[:, place, :, : part.shape[2]] = part
        return cls(blocks, n_items)

    @staticmethod
    def bytes_of(dense: Tensor) -> int:
        """What the blocks of such weights take; arguments are those of `of`."""
        histories, rows, n_items = dense.shape
        return histories * -(-n_items // _WIDTH) * rows * _WIDTH * dense.element_size()

    def dense(self) -> Tensor:
        """(histories, n_items + 1, n_items) float32: the inverse of `of`."""
        return self.blocks.transpose(1, 2).flatten(2)[:, :, : self.n_items]

    def tensors(self) -> Mapping[str, Tensor]:
        """As one dense tensor: how they are cut concerns nobody else."""
        return {"weights": self.dense()}

    def decayed_sum(self, which: int, history: Tensor, decay: float) -> Tensor:
        """(batch, n_items) float32: as `linear.decayed_sum` with one history's weights.

        Args:
            which: position of the history's weights.
            history: (batch, length) int64 item index, right-aligned; 0 is padding.
            decay: between 0 and 1.
        """
        there = history > 0
        strength = strengths(history.shape[1], decay).expand(history.shape)[there]
        ends = there.sum(1).cumsum(0)
        return self._sums(which, history[there], torch.cat([ends.new_zeros(1), ends])[:-1], strength)

    def _sums(self, which: int, items: Tensor, starts: Tensor, strength: Tensor) -> Tensor:
        blocks = self.blocks[which]
        sums = blocks.new_empty(len(starts), len(blocks), _WIDTH)
        for place, block in enumerate(blocks):
            sums[:, place] = functional.embedding_bag(items, block, starts, per_sample_weights=strength, mode="sum")
        return sums.flatten(1)[:, : self.n_items]
