"""The seam between experts and everything that uses them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Protocol, Self

from torch import Tensor

from recsys.context.batch import ContextBatch


class Expert(Protocol):
    """Something shared that scores every item for a context.

    An expert is rebuilt from its `settings()` and its `tensors()` alone, so that a snapshot can hold it without pickle.
    """

    kind: ClassVar[str]
    """Its name in configurations and snapshots."""
    logarithmic: ClassVar[bool]
    """Whether its scores estimate probabilities: the scoring network then takes their logarithm. Others are logits."""

    def score(self, context: ContextBatch) -> Tensor:
        """(batch, n_items) float32; column j is item index j + 1. Always finite."""
        ...

    def score_at(self, context: ContextBatch, columns: Tensor) -> Tensor:
        """What `score` gives at some columns, for catalogues whose every item is too many.

        Args:
            context: a batch of one.
            columns: (columns,) int64 score columns.

        Returns:
            (1, columns) float32, up to rounding.
        """
        ...

    def tensors(self) -> Mapping[str, Tensor]:
        """All that was fitted, by name."""
        ...

    def settings(self) -> Mapping[str, object]:
        """What else is needed to rebuild it, as plain values."""
        ...

    @classmethod
    def rebuild(cls, settings: Mapping[str, object], tensors: Mapping[str, Tensor]) -> Self:
        """The inverse of `settings` and `tensors`."""
        ...
