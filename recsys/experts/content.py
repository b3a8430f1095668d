"""What items are: decayed histories of item attributes times attribute-item weights. Knows no heads.

It speaks for items that few users touched, as far as their attributes tell.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import ClassVar, Self

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field
from scipy import sparse
from torch import Tensor

from recsys.context.batch import ContextBatch
from recsys.context.sequences import Sequences
from recsys.experts.linear import check_rows, cholesky, decayed_prefixes, decayed_sum, next_items, normal_equations


class ContentConfig(BaseModel):
    """Settings of the content expert."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    decay: float = Field(default=0.8, ge=0, le=1)
    """Weight of an event relative to the one after it."""
    window: int = Field(default=30, ge=1)
    """How many of the newest events count."""
    ridge: float = Field(default=100.0, gt=0)
    """Penalty on the weights."""


class ContentExpert:
    """Next-item scores from the attributes of the history's items.

    Args:
        described: (n_items + 1, n_attributes) float32, 1 where an item has an attribute; row 0 (padding) is zero.
        weights: (n_attributes, n_items) float32.
        decay: of the history.
        window: of the history.
    """

    kind: ClassVar[str] = "content"
    logarithmic: ClassVar[bool] = True

    def __init__(self, described: Tensor, weights: Tensor, decay: float, window: int) -> None:
        self.described = described
        self.weights = weights
        self.decay = decay
        self.window = window

    def score(self, context: ContextBatch) -> Tensor:
        """(batch, n_items) float32."""
        return self.tastes(context) @ self.weights

    def tastes(self, context: ContextBatch) -> Tensor:
        """(batch, n_attributes) float32 decayed history of attributes."""
        return decayed_sum(self.described, context.history[:, -self.window :], self.decay)

    def score_at(self, context: ContextBatch, columns: Tensor) -> Tensor:
        """(1, columns) float32 at some columns, see `Expert.score_at`."""
        return self.tastes(context) @ self._by_item[columns].T

    @cached_property
    def _by_item(self) -> Tensor:
        """(n_items, n_attributes): an item's weights side by side, for who reads those of few items."""
        return self.weights.T.contiguous()

    def tensors(self) -> Mapping[str, Tensor]:
        """Which item has which attribute, and the attributes' weights."""
        return {"described": self.described, "weights": self.weights}

    def settings(self) -> Mapping[str, object]:
        """Decay and window."""
        return {"decay": self.decay, "window": self.window}

    @classmethod
    def rebuild(cls, settings: Mapping[str, object], tensors: Mapping[str, Tensor]) -> Self:
        """The inverse of `settings` and `tensors`."""
        config = ContentConfig.model_validate(settings)
        weights = tensors["weights"]
        return cls(check_rows(tensors["described"], weights.shape[-1]), weights, config.decay, config.window)


def fit_content(
    sequences: Sequences, n_items: int, attributes: sparse.csr_matrix, config: ContentConfig
) -> ContentExpert:
    """Solves (XᵀDX + λI) W = XᵀY, X the decayed histories of attributes, Y and D as in the sequence memory.

    Args:
        sequences: the events to fit on.
        n_items: size of the vocabulary.
        attributes: (n_items, n_attributes) float32, 1 where an item has an attribute; at least one column.
        config: the settings.

    Raises:
        TrainingError: the ridge is too small to solve for the weights.
    """
    histories = (decayed_prefixes(sequences, n_items, config.decay, config.window) @ attributes).tocsr()
    gram, cross = normal_equations(histories, next_items(sequences, n_items))
    gram.diagonal().add_(config.ridge)
    solved = torch.cholesky_solve(cross, cholesky(gram, "content.ridge"))
    padded = np.concatenate([np.zeros((1, attributes.shape[1]), np.float32), attributes.toarray().astype(np.float32)])
    return ContentExpert(torch.from_numpy(padded), solved, config.decay, config.window)
