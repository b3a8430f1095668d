"""Counts behind the sequence memory, kept block by block so that many settings share them. Solves nothing."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable

import numpy as np
import torch
from scipy import sparse
from torch import Tensor

from recsys.context.sequences import Sequences
from recsys.experts.counting import History
from recsys.experts.linear import decayed_prefixes, dense, fill_attributes, next_items
from recsys.experts.memory import MemoryConfig, histories_of, used_attributes

KEPT_BYTES = 2_000_000_000
_KEPT_PREFIXES = 4


class SharedGrams:
    """Blocks X_iᵀDX_j and X_iᵀY for decayed histories i and j, each counted once while there is room to keep it.

    Attributes need no counting of their own: what their columns hold is a product of a history's block with the
    attributes themselves, (X A)ᵀD(X A) = Aᵀ(XᵀDX)A.

    Args:
        sequences: the events to fit on.
        n_items: size of the vocabulary.
        attributes: (n_items, n_attributes) float32, 1 where an item has an attribute; None: none are known.
        kept_bytes: room for blocks; those not asked for the longest are counted again when they are needed.
    """

    def __init__(
        self,
        sequences: Sequences,
        n_items: int,
        attributes: sparse.csr_matrix | None = None,
        *,
        kept_bytes: int = KEPT_BYTES,
    ) -> None:
        self.n_items, self.attributes = n_items, attributes
        self.counted = 0
        self._sequences = sequences
        self._following = next_items(sequences, n_items)
        self._strength = np.asarray(self._following.sum(1)).ravel().astype(np.float32)
        self._blocks: OrderedDict[Hashable, Tensor] = OrderedDict()
        self._prefixes: OrderedDict[History, sparse.csr_matrix] = OrderedDict()
        self._most = max(kept_bytes // (4 * n_items * n_items), 1)

    @property
    def described(self) -> bool:
        """Whether items have attributes."""
        return self.attributes is not None and bool(self.attributes.nnz)

    def knows(self, config: MemoryConfig) -> bool:
        """Whether a setting's system can be put together without counting."""
        histories = histories_of(config, self.n_items)
        wanted = [_pair(one, other) for one in histories for other in histories]
        return all(key in self._blocks for key in [*wanted, *histories])

    def system(self, config: MemoryConfig) -> tuple[Tensor, Tensor, sparse.csr_matrix | None]:
        """What `solve_sequence_memory` takes beside the setting: XᵀDX, XᵀY and the attributes at their weight."""
        histories, n = histories_of(config, self.n_items), self.n_items
        described = used_attributes(config, self.attributes)
        own = len(histories) * n
        columns = own + (0 if described is None else described.shape[1])
        gram, cross = torch.empty(columns, columns), torch.empty(columns, n)
        for i, one in enumerate(histories):
            cross[i * n : (i + 1) * n] = self._cross(one)
            for j, other in enumerate(histories[: i + 1]):
                block = self._gram(one, other)
                gram[i * n : (i + 1) * n, j * n : (j + 1) * n] = block
                gram[j * n : (j + 1) * n, i * n : (i + 1) * n] = block.T
        if described is not None:
            fill_attributes(gram, cross, described)
        return gram, cross, described

    def _gram(self, one: History, other: History) -> Tensor:
        first, second = _pair(one, other)
        block = self._kept((first, second), lambda: self._counted(first, second))
        return block if (first, second) == (one, other) else block.T

    def _cross(self, history: History) -> Tensor:
        return self._kept(history, lambda: dense(self._prefix(history).T @ self._following))

    def _counted(self, one: History, other: History) -> Tensor:
        return dense((self._prefix(one).T @ sparse.diags_array(self._strength)) @ self._prefix(other))

    def _kept(self, key: Hashable, count: Callable[[], Tensor]) -> Tensor:
        if key not in self._blocks:
            self.counted += 1
            self._blocks[key] = count()
            while len(self._blocks) > self._most:
                self._blocks.popitem(last=False)
            return self._blocks[key]
        self._blocks.move_to_end(key)
        return self._blocks[key]

    def _prefix(self, history: History) -> sparse.csr_matrix:
        if history not in self._prefixes:
            self._prefixes[history] = decayed_prefixes(self._sequences, self.n_items, *history)
            while len(self._prefixes) > _KEPT_PREFIXES:
                self._prefixes.popitem(last=False)
        self._prefixes.move_to_end(history)
        return self._prefixes[history]


def _pair(one: History, other: History) -> tuple[History, History]:
    return (one, other) if one <= other else (other, one)
