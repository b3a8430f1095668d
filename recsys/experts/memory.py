"""The sequence memory: stacked decayed histories times item-item weights, fitted by one ridge solve. Knows no heads.

Source: SLIST (Choe et al., WWW 2021), the linear session model, on long histories; item attributes join the ridge as
columns of their own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar, Self

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field, model_validator
from scipy import sparse
from torch import Tensor

from recsys.context.batch import ContextBatch
from recsys.context.sequences import Sequences
from recsys.experts.column_blocks import ColumnBlocks
from recsys.experts.counting import History, counted
from recsys.experts.evidence import Evidence
from recsys.experts.linear import check_rows, cholesky, decayed_sum
from recsys.experts.top_weights import TopWeights

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
    attribute_weight: float = Field(default=0.3, ge=0)
    """Strength of the histories of item attributes beside those of items; 0 leaves attributes out."""
    attribute_ridge: Ridge = 100.0
    """Penalty on the attributes' weights."""
    max_columns: int = Field(default=14_000, gt=0)
    """With more stacked columns than this (stacked histories x items), only the fallback history is fitted: the
    solve's cost grows with the cube."""
    fallback: tuple[Decay, Window, Ridge] = (0.8, 30, 80.0)
    """Decay, window and ridge of the one history that large catalogues get."""

    max_items: int | None = Field(default=None, gt=0)
    """Catalogues larger than this do without this memory; None: every catalogue has it."""
    top: int | None = Field(default=None, gt=0)
    """Keep only so many weights a row, those of largest magnitude; None keeps all. The solve before stays dense."""

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
        weights: (histories, n_items + 1, n_items) float32; row 0 (padding) is zero. What an item's attributes say is
            added into the item's own row. Or the largest of them only, or all of them in blocks of columns.
        decays: one a history.
        windows: one a history.
    """

    kind: ClassVar[str] = "memory"
    logarithmic: ClassVar[bool] = True

    def __init__(
        self, weights: Tensor | TopWeights | ColumnBlocks, decays: Sequence[float], windows: Sequence[int]
    ) -> None:
        self.weights = weights
        self.decays = tuple(decays)
        self.windows = tuple(windows)

    def score(self, context: ContextBatch) -> Tensor:
        """(batch, n_items) float32: an estimate of the probability that each item is the next one, not clipped."""
        total = None
        for which, (decay, window) in enumerate(zip(self.decays, self.windows, strict=True)):
            part = self._part(which, context.history[:, -window:], decay)
            total = part if total is None else total + part
        assert total is not None
        return total

    def score_at(self, context: ContextBatch, columns: Tensor) -> Tensor:
        """(1, columns) float32 at some columns, see `Expert.score_at`."""
        if not isinstance(self.weights, TopWeights):
            return self.score(context)[:, columns]
        return Evidence.summed([self.addends(context)]).at(columns)

    def addends(self, context: ContextBatch) -> tuple[Tensor, Tensor]:
        """What a memory of top weights says of a batch of one, see `Evidence.summed`; all other items score 0."""
        assert isinstance(self.weights, TopWeights)
        parts = [
            self.weights.entries(which, context.history[0, -window:], decay)
            for which, (decay, window) in enumerate(zip(self.decays, self.windows, strict=True))
        ]
        return torch.cat([columns for columns, _ in parts]), torch.cat([addends for _, addends in parts])

    def _part(self, which: int, history: Tensor, decay: float) -> Tensor:
        if isinstance(self.weights, Tensor):
            return decayed_sum(self.weights[which], history, decay)
        return self.weights.decayed_sum(which, history, decay)

    def tensors(self) -> Mapping[str, Tensor]:
        """The item-item weights, as one dense tensor or as compressed rows."""
        return {"weights": self.weights} if isinstance(self.weights, Tensor) else self.weights.tensors()

    @property
    def bytes_in_blocks(self) -> int:
        """What `in_blocks` takes of memory; 0 where it changes nothing."""
        return ColumnBlocks.bytes_of(self.weights) if isinstance(self.weights, Tensor) else 0

    def in_blocks(self) -> Self:
        """The same memory for many histories at once: dense weights are copied into blocks of columns."""
        if not isinstance(self.weights, Tensor):
            return self
        return type(self)(ColumnBlocks.of(self.weights), self.decays, self.windows)

    def settings(self) -> Mapping[str, object]:
        """Decays and windows."""
        return {"decays": list(self.decays), "windows": list(self.windows)}

    @classmethod
    def rebuild(cls, settings: Mapping[str, object], tensors: Mapping[str, Tensor]) -> Self:
        """The inverse of `settings` and `tensors`."""
        decays, windows = settings["decays"], settings["windows"]
        assert isinstance(decays, list)
        assert isinstance(windows, list)
        sparse_rows = "offsets" in tensors
        blocks = tensors["offsets" if sparse_rows else "weights"]
        if len(blocks) != len(decays):
            raise ValueError(f"{len(blocks)} blocks of weights for {len(decays)} histories")
        weights = TopWeights.rebuild(tensors) if sparse_rows else check_rows(blocks, blocks.shape[-1])
        return cls(weights, decays, windows)


def fit_sequence_memory(
    sequences: Sequences, n_items: int, config: MemoryConfig, attributes: sparse.csr_matrix | None = None
) -> SequenceMemory:
    """Solves (XᵀDX + Λ) W = XᵀY over every prefix of every sequence.

    Y holds the weight of the next item, or of each item of the next basket, D their sum. X holds the decayed
    histories of items and, with attributes, those of what these items are: its columns' weights then flow into the
    items' own rows, since W_item + a · A W_attribute scores just the same.

    Args:
        sequences: the events to fit on.
        n_items: size of the vocabulary.
        config: histories to stack, their ridges.
        attributes: (n_items, n_attributes) float32, 1 where an item has an attribute; None: none are known.

    Returns:
        The fitted memory; weights are float32.

    Raises:
        TrainingError: the ridges are too small to solve for the weights.
    """
    described = used_attributes(config, attributes)
    gram, cross = counted(sequences, n_items, histories_of(config, n_items), described)
    return solve_sequence_memory(gram, cross, config, described)


def histories_of(config: MemoryConfig, n_items: int) -> tuple[History, ...]:
    """(decay, window) of every history that is stacked for a catalogue of this size."""
    return tuple((decay, window) for decay, window, _ in config.histories(n_items))


def used_attributes(config: MemoryConfig, attributes: sparse.csr_matrix | None) -> sparse.csr_matrix | None:
    """(n_items, n_attributes) float32 attributes at their weight; None where the memory is fitted without any."""
    if attributes is None or not attributes.nnz or not config.attribute_weight:
        return None
    return (attributes * np.float32(config.attribute_weight)).tocsr()


def solve_sequence_memory(
    gram: Tensor, cross: Tensor, config: MemoryConfig, described: sparse.csr_matrix | None
) -> SequenceMemory:
    """The memory that a system of normal equations gives.

    The solve is dense even if only the top weights are kept after it: what does not fit has to have fewer columns
    (`max_columns` and `fallback`) or go without (`max_items`).

    Args:
        gram: (columns, columns) float32 XᵀDX, the histories' blocks first, then the attributes'; overwritten.
        cross: (columns, n_items) float32 XᵀY.
        config: the settings.
        described: what `used_attributes` gave for the last block, None where there is none.

    Raises:
        TrainingError: the ridges are too small to solve for the weights.
    """
    n_items = cross.shape[1]
    histories = config.histories(n_items)
    ridges = [np.full(n_items, ridge) for *_, ridge in histories]
    if described is not None:
        ridges.append(np.full(described.shape[1], config.attribute_ridge))
    gram.diagonal().add_(torch.from_numpy(np.concatenate(ridges).astype(np.float32)))
    solved = torch.cholesky_solve(cross, cholesky(gram, "memory ridges"))
    own = len(histories) * n_items
    weights = torch.zeros(len(histories), n_items + 1, n_items)
    weights[:, 1:] = solved[:own].view(len(histories), n_items, n_items)
    if described is not None:
        weights[-1, 1:] += torch.from_numpy(described @ solved[own:].numpy())
    kept = weights if config.top is None else TopWeights.of(weights, config.top)
    return SequenceMemory(kept, [h[0] for h in histories], [h[1] for h in histories])
