"""The long-term memory: EASE over everything a user touched. Knows no heads.

Source: EASE (Steck, WWW 2019).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Self

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field
from scipy import sparse
from torch import Tensor
from torch.nn import functional

from recsys.context.batch import ContextBatch
from recsys.context.sequences import Sequences
from recsys.experts.column_blocks import ColumnBlocks
from recsys.experts.linear import check_rows, cholesky, decayed_sum, dense


class LongTermConfig(BaseModel):
    """Settings of the undecayed long-term memory (EASE)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    ridge: float = Field(default=300.0, gt=0)
    """Penalty on the item-item weights."""
    decay: float = Field(default=1.0, gt=0, le=1)
    """Weight of an event relative to the one after it, when scoring; 1 weighs the complete history equally."""
    max_items: int | None = Field(default=None, gt=0)
    """Catalogues larger than this do without this memory; None: every catalogue has it."""


class LongTermMemory:
    """EASE scores over the complete history, or over the history tensor when a decay is set.

    Args:
        weights: (n_items + 1, n_items) float32; row 0 (padding) is zero. With a decay they may be in blocks of columns,
            as one history's.
        decay: 1 for the complete, undecayed history.
    """

    kind: ClassVar[str] = "long_term"
    logarithmic: ClassVar[bool] = True

    def __init__(self, weights: Tensor | ColumnBlocks, decay: float) -> None:
        self.weights = weights
        self.decay = decay

    def score(self, context: ContextBatch) -> Tensor:
        """(batch, n_items) float32."""
        if isinstance(self.weights, ColumnBlocks):
            return self.weights.decayed_sum(0, context.history, self.decay)
        if self.decay < 1:
            return decayed_sum(self.weights, context.history, self.decay)
        return functional.embedding_bag(context.seen, self.weights, context.seen_offsets[:-1], mode="sum")

    def score_at(self, context: ContextBatch, columns: Tensor) -> Tensor:
        """(1, columns) float32 at some columns, see `Expert.score_at`."""
        return self.score(context)[:, columns]

    @property
    def bytes_in_blocks(self) -> int:
        """What `in_blocks` takes of memory; 0 where it changes nothing."""
        if self.decay == 1 or isinstance(self.weights, ColumnBlocks):
            return 0
        return ColumnBlocks.bytes_of(self.weights[None])

    def in_blocks(self) -> Self:
        """The same memory for many histories at once: weights that decay are copied into blocks of columns."""
        if self.decay == 1 or isinstance(self.weights, ColumnBlocks):
            return self
        return type(self)(ColumnBlocks.of(self.weights[None]), self.decay)

    def tensors(self) -> Mapping[str, Tensor]:
        """The item-item weights."""
        return {"weights": self.weights if isinstance(self.weights, Tensor) else self.weights.dense()[0]}

    def settings(self) -> Mapping[str, object]:
        """The decay."""
        return {"decay": self.decay}

    @classmethod
    def rebuild(cls, settings: Mapping[str, object], tensors: Mapping[str, Tensor]) -> Self:
        """The inverse of `settings` and `tensors`."""
        weights = tensors["weights"]
        return cls(check_rows(weights, weights.shape[-1]), float(str(settings["decay"])))


def fit_long_term_memory(sequences: Sequences, n_items: int, config: LongTermConfig) -> LongTermMemory:
    """Solves EASE on the users' item sets: B = I - P / diag(P), P = (XᵀX + λI)⁻¹.

    Returns:
        The fitted memory with a zero diagonal.

    Raises:
        TrainingError: the ridge is too small to solve for the weights.
    """
    return solve_long_term_memory(dense(together(sequences, n_items)), config)


def together(sequences: Sequences, n_items: int) -> sparse.csr_matrix:
    """(n_items, n_items) float32: how many users have both items; whole numbers, so sums of them are exact."""
    users = sequences.owners
    shape = (len(sequences), n_items)
    counts = sparse.csr_matrix((np.ones(len(users), np.float32), (users, sequences.items - 1)), shape=shape)
    counts.data = np.minimum(counts.data, 1)
    return counts.T @ counts


def solve_long_term_memory(gram: Tensor, config: LongTermConfig) -> LongTermMemory:
    """The memory that counts of users with both items give.

    Args:
        gram: (n_items, n_items) float32, what `together` counts; overwritten.
        config: the settings.

    Raises:
        TrainingError: the ridge is too small to solve for the weights.
    """
    gram.diagonal().add_(config.ridge)
    inverse = torch.cholesky_inverse(cholesky(gram, "long_term.ridge"))
    weights = torch.zeros(len(gram) + 1, len(gram))
    weights[1:] = -inverse / inverse.diagonal()
    weights[1:].diagonal().zero_()
    return LongTermMemory(weights, config.decay)
