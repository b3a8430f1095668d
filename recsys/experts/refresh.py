"""Counts behind the closed-form memories that follow new events without counting the old ones again.

What changed in the log is taken out as it was and put in as it is; then one solve, as in a full fit, gives the weights.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy import sparse
from torch import Tensor

from recsys.context.sequences import Sequences
from recsys.experts.changes import Changes, recent
from recsys.experts.counting import counted, stacked
from recsys.experts.linear import (
    add_sparse,
    dense,
    fill_attributes,
    next_items,
    sparse_normal_equations,
)
from recsys.experts.long_term import LongTermConfig, LongTermMemory, solve_long_term_memory, together
from recsys.experts.memory import (
    MemoryConfig,
    SequenceMemory,
    histories_of,
    solve_sequence_memory,
    used_attributes,
)


@dataclass(frozen=True, slots=True, eq=False)
class MemoryCounts:
    """The normal equations of a sequence memory, items' histories only: what attributes add follows from these.

    Attributes:
        gram: (histories * n_items, histories * n_items) float32 XᵀDX.
        cross: (histories * n_items, n_items) float32 XᵀY.
        histories: (decay, window) of each.
    """

    gram: Tensor
    cross: Tensor
    histories: tuple[tuple[float, int], ...]

    @classmethod
    def of(cls, sequences: Sequences, n_items: int, config: MemoryConfig) -> MemoryCounts:
        """Counts everything."""
        histories = histories_of(config, n_items)
        return cls(*counted(sequences, n_items, histories), histories)

    def refresh(self, changed: Changes, places: np.ndarray, n_items: int) -> MemoryCounts:
        """The counts after a change of the log: equal to counting everything again but for rounding.

        Args:
            changed: what `changes` found between the sequences counted and those of now.
            places: (items before + 1,) int64 index that each item has now, 0 for one that is gone.
            n_items: size of the vocabulary now; the histories must be the same at this size.
        """
        window = max(window for _, window in self.histories)
        before = recent(changed.before, changed.before_from, window)
        gram, cross = self.gram.clone(), self.cross.clone()
        self._add(gram, cross, before, self.cross.shape[1], -1.0)
        rows = _moved(places, n_items, len(self.histories))
        columns = _moved(places, n_items, 1)
        gram, cross = _rearranged(gram, rows, rows), _rearranged(cross, rows, columns)
        self._add(gram, cross, recent(changed.after, changed.after_from, window), n_items, 1.0)
        return MemoryCounts(gram, cross, self.histories)

    def are_of(self, config: MemoryConfig, n_items: int) -> bool:
        """Whether they are what `of` would count with these settings over a vocabulary of this size."""
        histories = histories_of(config, n_items)
        rows = len(histories) * n_items
        shapes = (self.gram.shape, self.cross.shape)
        return self.histories == histories and shapes == ((rows, rows), (rows, n_items))

    def solve(self, config: MemoryConfig, attributes: sparse.csr_matrix | None = None) -> SequenceMemory:
        """The memory that `fit_sequence_memory` would fit; same errors."""
        described = used_attributes(config, attributes)
        extra = 0 if described is None else described.shape[1]
        own = len(self.gram)
        gram, cross = torch.zeros(own + extra, own + extra), torch.zeros(own + extra, self.cross.shape[1])
        gram[:own, :own], cross[:own] = self.gram, self.cross
        if described is not None:
            fill_attributes(gram, cross, described)
        return solve_sequence_memory(gram, cross, config, described)

    def _add(self, gram: Tensor, cross: Tensor, sequences: Sequences, n_items: int, sign: float) -> None:
        if not len(sequences.items):
            return
        histories = stacked(sequences, n_items, self.histories)
        addends = sparse_normal_equations(histories, next_items(sequences, n_items))
        for onto, addend in zip((gram, cross), addends, strict=True):
            add_sparse(onto, addend, sign)


@dataclass(frozen=True, slots=True, eq=False)
class LongTermCounts:
    """What EASE is solved from.

    Attributes:
        gram: (n_items, n_items) float32: how many users have both items.
    """

    gram: Tensor

    @classmethod
    def of(cls, sequences: Sequences, n_items: int) -> LongTermCounts:
        """Counts everything."""
        return cls(dense(together(sequences, n_items)))

    def refresh(self, changed: Changes, places: np.ndarray, n_items: int) -> LongTermCounts:
        """The counts after a change of the log, exactly; arguments are those of `MemoryCounts.refresh`."""
        gram = self.gram.clone()
        add_sparse(gram, together(changed.before, len(self.gram)), -1.0)
        moved = _moved(places, n_items, 1)
        gram = _rearranged(gram, moved, moved)
        add_sparse(gram, together(changed.after, n_items))
        return LongTermCounts(gram)

    def are_of(self, n_items: int) -> bool:
        """Whether they are over a vocabulary of this size."""
        return self.gram.shape == (n_items, n_items)

    def solve(self, config: LongTermConfig) -> LongTermMemory:
        """The memory that `fit_long_term_memory` would fit; same errors."""
        return solve_long_term_memory(self.gram.clone(), config)


def _moved(places: np.ndarray, n_items: int, blocks: int) -> Tensor:
    """(blocks * n_items,) int64: the old row of each new one, -1 for an item that was not there."""
    old = np.full(n_items, -1, dtype=np.int64)
    there = np.flatnonzero(places[1:])
    old[places[1:][there] - 1] = there
    found = [np.where(old >= 0, old + block * (len(places) - 1), -1) for block in range(blocks)]
    return torch.from_numpy(np.concatenate(found))


def _rearranged(counted: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """The matrix with its rows and columns at new places; those of new items are zero."""
    if torch.equal(rows, torch.arange(len(counted))) and torch.equal(columns, torch.arange(counted.shape[1])):
        return counted
    found = torch.zeros(len(rows), len(columns))
    to_rows, to_columns = (rows >= 0).nonzero()[:, 0], (columns >= 0).nonzero()[:, 0]
    found[to_rows[:, None], to_columns] = counted[rows[to_rows][:, None], columns[to_columns]]
    return found
