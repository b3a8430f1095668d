"""A large catalogue, searched for every context: answers as `EveryItem`, without a score of every item."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from torch import Tensor

from recsys.context.batch import ContextBatch, FeatureRow
from recsys.model.head import HeadWeights
from recsys.model.portable import PortableHead, portable_part
from recsys.ranking.estimates import Estimates, columns_of, estimates
from recsys.ranking.every_item import Mask
from recsys.ranking.forward import Forward
from recsys.ranking.large import LargeCatalogue


class Searched:
    """Answers one context after the other: each has candidates of its own.

    Args:
        large: finds and scores candidates.
        forward: the model's way from rows to heads.
    """

    def __init__(self, large: LargeCatalogue, forward: Forward) -> None:
        self._large = large
        self._forward = forward

    def best(
        self, rows: Sequence[FeatureRow], moments: Sequence[int] | None, mask: Mask, number: int
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Each context's best items, see `EveryItem.best`."""
        for place, row in enumerate(rows):
            moment = None if moments is None else moments[place : place + 1]
            heard, generated = self._forward.generated(self._large, row, moment)
            yield self._large.best(heard, generated, mask(heard.context)[0], number)

    def heads(self, rows: Sequence[FeatureRow], moments: Sequence[int] | None) -> HeadWeights:
        """The generated head of each context."""
        if len(rows) == 1:
            return self._forward.generated(self._large, rows[0], moments)[1].head
        return self._forward.scored(rows, moments)[2]

    def portable(self, row: FeatureRow, columns: Tensor) -> PortableHead:
        """One context's head with all that is needed to score these columns elsewhere."""
        return portable_part(self._large.partial, *self._forward.generated(self._large, row, None), columns)

    def shares(self, context: ContextBatch, columns: Tensor) -> Tensor:
        """(batch, experts, columns) what each expert adds to the scores of some items."""
        return self._large.shares(context, columns)

    def estimates(self, rows: Sequence[FeatureRow], asked: Sequence[np.ndarray]) -> Iterator[Estimates]:
        """Scores of each context's items, nothing else scored."""
        for row, indices in zip(rows, asked, strict=True):
            known = self._forward.generated(self._large, row, None)
            yield estimates(self._large.partial.scores(*known, columns_of(indices))[0], None, indices)
