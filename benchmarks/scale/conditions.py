"""What forms of a model lose in NDCG@10, and whether a form that loses so much may stand for the model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from benchmarks.scale.lines import DENSE, NARROW, SPARSE
from benchmarks.scale.thinning import LARGEST_LOSS, LOSS_BY_TOP, LOSS_NARROW

FALLBACK_TOP = 200
"""Weights a row where none of those tried is enough or known, or where the model is untrained."""


@dataclass(frozen=True, slots=True)
class Conditions:
    """Of one model.

    Attributes:
        content_hash: the model's.
        top: how many weights a row sparse memories keep.
        losses: what each form loses, None where that was not measured.
    """

    content_hash: str
    top: int
    losses: Mapping[str, float | None]

    @classmethod
    def of(cls, thinned: Mapping[str, Any], content_hash: str, top: int | None = None) -> Self:
        """What was found out about a model.

        Args:
            thinned: what `thinning.thinned` gave; nothing of it holds for another model, or for an untrained one.
            content_hash: the model's.
            top: weights a row, whatever was found; None: as few as were found to be enough.
        """
        same = thinned.get("content_hash") == content_hash and thinned.get("trained", False)
        own = thinned if same else {}
        kept = top or own.get("top") or FALLBACK_TOP
        losses = {DENSE: 0.0, SPARSE: own.get(LOSS_BY_TOP, {}).get(str(kept)), NARROW: own.get(LOSS_NARROW)}
        return cls(content_hash, kept, losses)

    def met(self, way: str) -> bool | None:
        """Whether a form loses no more than .0005; None: nobody measured it."""
        loss = self.losses[way]
        return None if loss is None else loss <= LARGEST_LOSS

    def said(self, way: str) -> dict[str, Any]:
        """A form's loss and whether it may count, for results."""
        return {"ndcg_loss": self.losses[way], "condition_met": self.met(way)}
