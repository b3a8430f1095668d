"""A large catalogue, searched for every context: answers as `EveryItem`, without a score of every item."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from torch import Tensor

from recsys.context.batch import FeatureRow
from recsys.model.head import HeadWeights
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
            heard, generated = self._forward.generated(self._large.partial, row, moment)
            yield self._large.best(heard, generated, mask(heard.context)[0], number)

    def heads(self, rows: Sequence[FeatureRow], moments: Sequence[int] | None) -> HeadWeights:
        """The generated head of each context."""
        if len(rows) == 1:
            return self._forward.generated(self._large.partial, rows[0], moments)[1].head
        return self._forward.scored(rows, moments)[2]
