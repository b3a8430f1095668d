"""The seam between experts and everything that uses them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from torch import Tensor

from recsys.context.batch import ContextBatch


class Expert(Protocol):
    """Something shared that scores every item for a context.

    An expert is rebuilt from its `tensors()` and its config alone, so that a snapshot can hold it without pickle.
    """

    def score(self, context: ContextBatch) -> Tensor:
        """(batch, n_items) float32; column j is item index j + 1. Always finite."""
        ...

    def tensors(self) -> Mapping[str, Tensor]:
        """All that was fitted, by name."""
        ...
