"""What a model says of given items: scores, and probabilities where they were asked for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Estimates:
    """Of one context's items, in the order asked.

    Attributes:
        scores: their logits; None for an item that is not in the vocabulary.
        probabilities: calibrated, that the item is the next one; None likewise, and None as a whole where unasked.
    """

    scores: tuple[float | None, ...]
    probabilities: tuple[float | None, ...] | None


def columns_of(indices: np.ndarray) -> Tensor:
    """(asked,) int64 score columns of item indices; an unknown item, of index 0, has the first one."""
    return torch.from_numpy(np.maximum(indices - 1, 0))


def estimates(scores: Tensor, probabilities: Tensor | None, indices: np.ndarray) -> Estimates:
    """What was computed for the columns of the items asked for, less what it says of unknown ones.

    Args:
        scores: (asked,) at `columns_of` the items.
        probabilities: (asked,) likewise.
        indices: (asked,) int64 item index, 0 for an unknown item.
    """
    known = (indices > 0).tolist()
    return Estimates(_told(scores, known), None if probabilities is None else _told(probabilities, known))


def _told(values: Tensor, known: list[bool]) -> tuple[float | None, ...]:
    return tuple(value if there else None for value, there in zip(values.tolist(), known, strict=True))
