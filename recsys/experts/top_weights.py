"""Item-item weights of which every row keeps only its largest: compressed rows, and the scores they give.

For catalogues whose dense weights are a burden to hold, to store and to ship. Knows not how the weights were found.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Self

import torch
from torch import Tensor

from recsys.experts.linear import strengths

_BLOCK_ROWS = 1_024
_ENTRIES = 4_000_000
"""Weights gathered at once; a batch of long histories is scored in parts."""


@dataclass(frozen=True, slots=True)
class TopWeights:
    """(n_items + 1, n_items) weights for each of some histories, all but the largest of a row left out.

    Attributes:
        offsets: (histories, n_items + 2) int64; row i of a history has the entries [offsets[i], offsets[i + 1]). Row 0
            (padding) has none.
        columns: (entries,) int32 score column of each entry.
        weights: (entries,) float32.
    """

    offsets: Tensor
    columns: Tensor
    weights: Tensor

    @classmethod
    def of(cls, dense: Tensor, top: int) -> Self:
        """The `top` weights of largest magnitude of every row; zeros are never kept.

        Args:
            dense: (histories, n_items + 1, n_items) float32; row 0 (padding) is zero.
            top: how many a row keeps at most.
        """
        histories, rows, n_items = dense.shape
        counts, columns, weights = [], [], []
        for block in torch.split(dense.reshape(histories * rows, n_items), _BLOCK_ROWS):
            kept = block.abs().topk(min(top, n_items), dim=1).indices.sort(1).values
            values = block.gather(1, kept)
            there = values != 0
            counts.append(there.sum(1))
            columns.append(kept[there].int())
            weights.append(values[there])
        ends = torch.cat(counts).cumsum(0)
        starts = torch.cat([ends.new_zeros(1), ends])
        row = torch.arange(histories)[:, None] * rows + torch.arange(rows + 1)[None, :]
        return cls(starts[row], torch.cat(columns), torch.cat(weights))

    @classmethod
    def rebuild(cls, tensors: Mapping[str, Tensor]) -> Self:
        """The inverse of `tensors`.

        Raises:
            ValueError: the tensors do not belong together.
        """
        own = cls(tensors["offsets"], tensors["columns"], tensors["weights"])
        ordered = bool((own.offsets.diff(dim=1) >= 0).all())
        inside = not len(own.columns) or 0 <= int(own.columns.min()) <= int(own.columns.max()) < own.n_items
        if not (ordered and inside and int(own.offsets[-1, -1]) == len(own.columns) == len(own.weights)):
            raise ValueError(f"{len(own.columns)} columns and {len(own.weights)} weights for {own.n_items} items")
        return own

    @property
    def n_items(self) -> int:
        """Items in the vocabulary."""
        return self.offsets.shape[1] - 2

    def tensors(self) -> Mapping[str, Tensor]:
        """Offsets, columns and weights."""
        return {"offsets": self.offsets, "columns": self.columns, "weights": self.weights}

    def dense(self) -> Tensor:
        """(histories, n_items + 1, n_items) float32 with zeros for all that was left out."""
        histories, rows = self.offsets.shape[0], self.n_items + 1
        row = torch.repeat_interleave(torch.arange(histories * rows), self.offsets.diff(dim=1).flatten())
        flat = torch.zeros(histories * rows * self.n_items)
        flat[row * self.n_items + self.columns] = self.weights
        return flat.view(histories, rows, self.n_items)

    def entries(self, which: int, history: Tensor, decay: float) -> tuple[Tensor, Tensor]:
        """The addends of one history's `decayed_sum`, not yet summed.

        Args:
            which: position of the history's weights.
            history: (length,) int64 item index, oldest first; 0 is padding.
            decay: between 0 and 1.

        Returns:
            (entries,) int64 columns, with repetitions, and (entries,) float32.
        """
        event, entry = self._rows(which, history)
        strength = strengths(len(history), decay)
        return self.columns[entry].long(), self.weights[entry] * strength[event]

    def _rows(self, which: int, events: Tensor) -> tuple[Tensor, Tensor]:
        """(entries,) which event each entry belongs to, and (entries,) its position in `columns` and `weights`."""
        starts = self.offsets[which][events]
        own = self.offsets[which][events + 1] - starts
        event = torch.repeat_interleave(torch.arange(len(events)), own)
        return event, torch.arange(len(event)) + (starts - (own.cumsum(0) - own))[event]

    def decayed_sum(self, which: int, history: Tensor, decay: float) -> Tensor:
        """(batch, n_items) float32: as `linear.decayed_sum` with one history's weights.

        Args:
            which: position of the history's weights.
            history: (batch, length) int64 item index, right-aligned.
            decay: between 0 and 1.
        """
        strength = strengths(history.shape[1], decay)
        if torch.backends.mkl.is_available():  # type: ignore[no-untyped-call]
            return self._product(which, history, strength)
        return self._scattered(which, history, strength)

    def _product(self, which: int, history: Tensor, strength: Tensor) -> Tensor:
        """`decayed_sum` as a product of two sparse matrices: MKL has one with a dense result, and torch by it alone."""
        batch, length = history.shape
        ends = torch.arange(batch + 1) * length
        decayed = _matrix(ends, history.flatten(), strength.repeat(batch), self.n_items + 1)
        offsets = self.offsets[which]
        own = slice(int(offsets[0]), int(offsets[-1]))
        rows = _matrix(offsets - offsets[0], self.columns[own], self.weights[own], self.n_items)
        scores = torch.zeros(batch, self.n_items)
        return torch.addmm(scores, decayed, rows, beta=0, out=scores)

    def _scattered(self, which: int, history: Tensor, strength: Tensor) -> Tensor:
        """`decayed_sum` entry by entry, many times slower."""
        scores = torch.zeros(len(history), self.n_items)
        widths = self.offsets[which].diff()
        most = max(int(widths[history].sum(1).max()) if history.numel() else 0, 1)
        size = max(_ENTRIES // most, 1)
        for part, out in zip(torch.split(history, size), torch.split(scores, size), strict=True):
            event, entry = self._rows(which, part.flatten())
            at = event // history.shape[1] * self.n_items + self.columns[entry]
            out.view(-1).scatter_add_(0, at, self.weights[entry] * strength.repeat(len(part))[event])
        return scores


def _matrix(offsets: Tensor, columns: Tensor, values: Tensor, n_columns: int) -> Tensor:
    """Compressed rows as torch's own. What they hold was checked when it was made."""
    _hear_out()
    shape = (len(offsets) - 1, n_columns)
    return torch.sparse_csr_tensor(offsets.int(), columns.int(), values, shape, check_invariants=False)


@cache
def _hear_out() -> None:
    """Torch says once that its compressed rows may still change."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        nothing = torch.zeros(0)
        torch.sparse_csr_tensor(torch.zeros(1).int(), nothing.int(), nothing, (0, 0), check_invariants=False)
