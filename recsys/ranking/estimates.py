"""What a model says of given items: scores, and probabilities where they were asked for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
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


def estimates(scores: Tensor, probabilities: Tensor | None, indices: np.ndarray) -> Estimates:
    """Picks items out of what was computed for all.

    Args:
        scores: (n_items,) one context's.
        probabilities: (n_items,) likewise.
        indices: (asked,) int64 item index, 0 for an unknown item.
    """
    return Estimates(_picked(scores, indices), None if probabilities is None else _picked(probabilities, indices))


def _picked(values: Tensor, indices: np.ndarray) -> tuple[float | None, ...]:
    own = values.numpy()[np.maximum(indices - 1, 0)].tolist()
    return tuple(value if known else None for value, known in zip(own, (indices > 0).tolist(), strict=True))
