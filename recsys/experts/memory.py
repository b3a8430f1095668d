"""Closed-form linear memories: decayed histories times item-item weights, fitted by one ridge solve.

Two of them: `SequenceMemory` predicts the next item from stacked decayed histories; `LongTermMemory` is EASE over
the complete history. Neither knows of users' heads.

Sources: SLIST (Choe et al., WWW 2021) for the linear session model; EASE (Steck, WWW 2019) for the long-term one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field
from scipy import sparse
from torch import Tensor
from torch.nn import functional

from recsys.context.batch import ContextBatch
from recsys.context.sequences import Sequences, ragged_ranges
from recsys.errors import ConfigError


class MemoryConfig(BaseModel):
    """Settings of the sequence memory: one decay, window and ridge for each stacked history."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    decays: tuple[float, ...] = (0.5, 0.9)
    """Weight of an event relative to the one after it."""
    windows: tuple[int, ...] = (8, 40)
    """How many of the newest events each history looks at."""
    ridges: tuple[float, ...] = (200.0, 300.0)
    """Penalty on each block's weights."""
    max_columns: int = Field(default=14_000, gt=0)
    """With more stacked columns than this (stacked histories x items), only the fallback history is fitted: the
    solve's cost grows with the cube."""
    fallback: tuple[float, int, float] = (0.6, 30, 110.0)
    """Decay, window and ridge of the one history that large catalogues get."""

    def histories(self, n_items: int) -> list[tuple[float, int, float]]:
        """(decay, window, ridge) of every stacked history for a catalogue of this size."""
        if not len(self.decays) == len(self.windows) == len(self.ridges):
            raise ConfigError("memory: decays, windows and ridges must have the same number of entries.")
        stacked = list(zip(self.decays, self.windows, self.ridges, strict=True))
        return stacked if len(stacked) * n_items <= self.max_columns else [self.fallback]


class LongTermConfig(BaseModel):
    """Settings of the undecayed long-term memory (EASE)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    ridge: float = Field(default=300.0, gt=0)
    """Penalty on the item-item weights."""
    decay: float = Field(default=1.0, gt=0, le=1)
    """Weight of an event relative to the one after it, when scoring; 1 weighs the complete history equally."""


class SequenceMemory:
    """Next-item scores from stacked decayed histories.

    Args:
        weights: (histories, n_items + 1, n_items) float32; row 0 (padding) is zero.
        decays: one a history.
        windows: one a history.
    """

    def __init__(self, weights: Tensor, decays: Sequence[float], windows: Sequence[int]) -> None:
        self.weights = weights
        self.decays = tuple(decays)
        self.windows = tuple(windows)

    def score(self, context: ContextBatch) -> Tensor:
        """(batch, n_items) float32."""
        total = None
        for block, decay, window in zip(self.weights, self.decays, self.windows, strict=True):
            history = context.history[:, -window:]
            part = _decayed_sum(block, history, decay)
            total = part if total is None else total + part
        assert total is not None
        return total

    def tensors(self) -> Mapping[str, Tensor]:
        """The item-item weights."""
        return {"weights": self.weights}


class LongTermMemory:
    """EASE scores over the complete history, or over the history tensor when a decay is set.

    Args:
        weights: (n_items + 1, n_items) float32; row 0 (padding) is zero.
        decay: 1 for the complete, undecayed history.
    """

    def __init__(self, weights: Tensor, decay: float) -> None:
        self.weights = weights
        self.decay = decay

    def score(self, context: ContextBatch) -> Tensor:
        """(batch, n_items) float32."""
        if self.decay < 1:
            return _decayed_sum(self.weights, context.history, self.decay)
        return functional.embedding_bag(context.seen, self.weights, context.seen_offsets[:-1], mode="sum")

    def tensors(self) -> Mapping[str, Tensor]:
        """The item-item weights."""
        return {"weights": self.weights}


def fit_sequence_memory(sequences: Sequences, n_items: int, config: MemoryConfig) -> SequenceMemory:
    """Solves (XᵀX + Λ) W = XᵀY over every prefix of every sequence, Y the next item.

    Args:
        sequences: the events to fit on.
        n_items: size of the vocabulary.
        config: histories to stack, their ridges.

    Returns:
        The fitted memory; weights are float32.
    """
    histories = config.histories(n_items)
    stacked = sparse.hstack([_decayed_prefixes(sequences, n_items, decay, window) for decay, window, _ in histories])
    stacked = stacked.tocsr()
    targets = _next_items(sequences, n_items)
    gram = _dense(stacked.T @ stacked)
    gram.diagonal().add_(torch.tensor(np.repeat([ridge for *_, ridge in histories], n_items), dtype=torch.float32))
    cross = _dense(stacked.T @ targets)
    solved = torch.cholesky_solve(cross, torch.linalg.cholesky(gram))
    weights = torch.zeros(len(histories), n_items + 1, n_items)
    weights[:, 1:] = solved.view(len(histories), n_items, n_items)
    return SequenceMemory(weights, [h[0] for h in histories], [h[1] for h in histories])


def fit_long_term_memory(sequences: Sequences, n_items: int, config: LongTermConfig) -> LongTermMemory:
    """Solves EASE on the users' item sets: B = I - P / diag(P), P = (XᵀX + λI)⁻¹.

    Returns:
        The fitted memory with a zero diagonal.
    """
    users = np.repeat(np.arange(len(sequences)), sequences.lengths)
    shape = (len(sequences), n_items)
    counts = sparse.csr_matrix((np.ones(len(users), np.float32), (users, sequences.items - 1)), shape=shape)
    counts.data = np.minimum(counts.data, 1)
    gram = _dense(counts.T @ counts)
    gram.diagonal().add_(config.ridge)
    inverse = torch.cholesky_inverse(torch.linalg.cholesky(gram))
    weights = torch.zeros(n_items + 1, n_items)
    weights[1:] = -inverse / inverse.diagonal()
    weights[1:].diagonal().zero_()
    return LongTermMemory(weights, config.decay)


def _decayed_sum(weights: Tensor, history: Tensor, decay: float) -> Tensor:
    age = torch.arange(history.shape[1] - 1, -1, -1)
    strength = (decay**age).to(weights.dtype).expand(history.shape)
    return functional.embedding_bag(history, weights, per_sample_weights=strength, mode="sum")


def _decayed_prefixes(sequences: Sequences, n_items: int, decay: float, window: int) -> sparse.csr_matrix:
    """(events, n_items): row e holds the decayed history before event e of the same user."""
    position = np.arange(len(sequences.items)) - np.repeat(sequences.offsets[:-1], sequences.lengths)
    lengths = np.minimum(position, window)
    source = ragged_ranges(np.arange(len(position)) - lengths, lengths)
    row = np.repeat(np.arange(len(position)), lengths)
    strength = decay ** (row - source - 1).astype(np.float32)
    shape = (len(position), n_items)
    return sparse.csr_matrix((strength.astype(np.float32), (row, sequences.items[source] - 1)), shape=shape)


def _next_items(sequences: Sequences, n_items: int) -> sparse.csr_matrix:
    events = len(sequences.items)
    ones = np.ones(events, np.float32)
    return sparse.csr_matrix((ones, (np.arange(events), sequences.items - 1)), shape=(events, n_items))


def _dense(matrix: sparse.spmatrix) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(matrix.toarray(), dtype=np.float32))
