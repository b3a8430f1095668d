"""Some items that are asked for, of which alone anything is computed: answers as `EveryItem`, up to rounding."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from recsys.context.batch import ContextBatch, FeatureRow
from recsys.model.partial import PartialScoring, heads_read_a_part
from recsys.model.personal import PersonalModel
from recsys.model.portable import PortableHead, portable_part
from recsys.ranking.estimates import Estimates, columns_of, estimates
from recsys.ranking.forward import Forward

_FROM_ITEMS = 100_000
"""In a smaller catalogue some contexts at a time are scored for every item sooner than one by one for a few."""


class GivenItems:
    """Answers one context after the other: each has items of its own.

    Args:
        partial: scores some items.
        forward: the model's way from rows to heads.

    Attributes:
        at_once: how many contexts are computed at a time.
    """

    at_once = 1

    def __init__(self, partial: PartialScoring, forward: Forward) -> None:
        self._partial = partial
        self._forward = forward

    def portable(self, row: FeatureRow, columns: Tensor) -> PortableHead:
        """One context's head with all that is needed to score these columns elsewhere."""
        return portable_part(self._partial, *self._forward.generated(self._partial, row, None), columns)

    def shares(self, context: ContextBatch, columns: Tensor) -> Tensor:
        """(batch, experts, columns) what each expert adds to the scores of some items, see `PersonalModel.shares`."""
        heard = [self._partial.hear(own) for own in context.one_by_one()]
        return torch.cat([self._partial.shares(own, self._partial.generate(own), columns) for own in heard])

    def estimates(self, rows: Sequence[FeatureRow], asked: Sequence[np.ndarray]) -> Iterator[Estimates]:
        """Scores of each context's items, (asked,) int64 item index of each, 0 for an unknown one."""
        for row, indices in zip(rows, asked, strict=True):
            known = self._forward.generated(self._partial, row, None)
            yield estimates(self._partial.scores(*known, columns_of(indices))[0], None, indices)


def pays(model: PersonalModel) -> bool:
    """Whether a model can answer so, and sooner than by a score of every item."""
    return model.network.n_items >= _FROM_ITEMS and heads_read_a_part(model)
