"""The sequence memory: stacked decayed histories times item-item weights, fitted by one ridge solve. Knows no heads.

Source: SLIST (Choe et al., WWW 2021), the linear session model, on long histories.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Self

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field, model_validator
from scipy import sparse
from torch import Tensor

from recsys.context.batch import ContextBatch
from recsys.context.sequences import Sequences, ragged_ranges
from recsys.experts.linear import cholesky, decayed_sum, dense

Decay = Annotated[float, Field(ge=0, le=1)]
Window = Annotated[int, Field(ge=1)]
Ridge = Annotated[float, Field(gt=0)]


class MemoryConfig(BaseModel):
    """Settings of the sequence memory: one decay, window and ridge for each stacked history."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    decays: tuple[Decay, ...] = Field(default=(0.5, 0.9), min_length=1)
    """Weight of an event relative to the one after it."""
    windows: tuple[Window, ...] = (8, 40)
    """How many of the newest events each history looks at."""
    ridges: tuple[Ridge, ...] = (200.0, 300.0)
    """Penalty on each block's weights."""
    max_columns: int = Field(default=14_000, gt=0)
    """With more stacked columns than this (stacked histories x items), only the fallback history is fitted: the
    solve's cost grows with the cube."""
    fallback: tuple[Decay, Window, Ridge] = (0.6, 30, 110.0)
    """Decay, window and ridge of the one history that large catalogues get."""

    @model_validator(mode="after")
    def _one_of_each_for_every_history(self) -> Self:
        if not len(self.decays) == len(self.windows) == len(self.ridges):
            raise ValueError("decays, windows and ridges need the same number of entries")
        return self

    def histories(self, n_items: int) -> list[tuple[float, int, float]]:
        """(decay, window, ridge) of every stacked history for a catalogue of this size."""
        stacked = list(zip(self.decays, self.windows, self.ridges, strict=True))
        return stacked if len(stacked) * n_items <= self.max_columns else [self.fallback]


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
            part = decayed_sum(block, history, decay)
            total = part if total is None else total + part
        assert total is not None
        return total

    def tensors(self) -> Mapping[str, Tensor]:
        """The item-item weights."""
        return {"weights": self.weights}


def fit_sequence_memory(sequences: Sequences, n_items: int, config: MemoryConfig) -> SequenceMemory:
    """Solves (XᵀDX + Λ) W = XᵀDY over every prefix of every sequence, Y the next item, D the weight of its event.

    Args:
        sequences: the events to fit on.
        n_items: size of the vocabulary.
        config: histories to stack, their ridges.

    Returns:
        The fitted memory; weights are float32.

    Raises:
        TrainingError: the ridges are too small to solve for the weights.
    """
    histories = config.histories(n_items)
    stacked = sparse.hstack([_decayed_prefixes(sequences, n_items, decay, window) for decay, window, _ in histories])
    stacked = stacked.tocsr()
    targets = _next_items(sequences, n_items)
    weighted = stacked.T @ sparse.diags_array(sequences.values)
    gram = dense(weighted @ stacked)
    gram.diagonal().add_(torch.tensor(np.repeat([ridge for *_, ridge in histories], n_items), dtype=torch.float32))
    cross = dense(weighted @ targets)
    solved = torch.cholesky_solve(cross, cholesky(gram, "memory.ridges"))
    weights = torch.zeros(len(histories), n_items + 1, n_items)
    weights[:, 1:] = solved.view(len(histories), n_items, n_items)
    return SequenceMemory(weights, [h[0] for h in histories], [h[1] for h in histories])


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
