"""A catalogue whose items are all scored for every context: the exact way, for as many items as are scored in time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from recsys.context.batch import ContextBatch, FeatureRow
from recsys.context.encoder import ContextEncoder
from recsys.model.head import HeadWeights
from recsys.model.personal import PersonalModel
from recsys.model.portable import PortableHead, portable_head
from recsys.ranking.estimates import Estimates, columns_of, estimates
from recsys.ranking.forward import Forward
from recsys.ranking.top_k import top_k

Mask = Callable[[ContextBatch], Tensor]
"""Contexts to (batch, n_items) bool: what may not be shown to each."""
_NUMBERS_AT_ONCE = 2_000_000
"""Experts' scores (contexts x experts x items) that are on their way at a time. At the peak each takes 19 to 24 bytes
of resident memory, measured with four and seven experts and 3,400 to 50,000 items: some 50 MB in all. More contexts
are scored in parts, which takes no longer."""


class EveryItem:
    """Answers from the scores of all items.

    Args:
        model: experts and generator.
        encoder: feature rows to tensors.
        forward: the model's way from rows to scores.
    """

    def __init__(self, model: PersonalModel, encoder: ContextEncoder, forward: Forward) -> None:
        self._model = model
        self._encoder = encoder
        self._forward = forward

    @property
    def at_once(self) -> int:
        """How many contexts are scored at a time: as many as memory allows, one at least."""
        network = self._model.network
        return max(_NUMBERS_AT_ONCE // (network.n_items * len(network.names)), 1)

    def parts(
        self, rows: Sequence[FeatureRow], moments: Sequence[int] | None
    ) -> Iterator[tuple[slice, ContextBatch, Tensor]]:
        """Which rows, their contexts and (part, n_items) logits, as many at once as memory allows."""
        for start in range(0, len(rows), self.at_once):
            own = slice(start, start + self.at_once)
            context, scores, _ = self._forward.scored(rows[own], None if moments is None else moments[own])
            yield own, context, scores

    def best(
        self, rows: Sequence[FeatureRow], moments: Sequence[int] | None, mask: Mask, number: int
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Each context's best items: (at most number,) scores, largest first, and (at most number,) int64 columns."""
        for _, context, scores in self.parts(rows, moments):
            values, columns = top_k(scores.masked_fill(mask(context), -torch.inf), number)
            shown = torch.isfinite(values).sum(1).tolist()
            yield from ((own[:n], at[:n]) for own, at, n in zip(values, columns, shown, strict=True))

    def heads(self, rows: Sequence[FeatureRow], moments: Sequence[int] | None) -> HeadWeights:
        """The generated head of each context."""
        return self._forward.scored(rows, moments)[2]

    def portable(self, row: FeatureRow, columns: Tensor) -> PortableHead:
        """One context's head with all that is needed to score these columns elsewhere."""
        return portable_head(self._model, self._encoder.encode([row]), columns)

    def shares(self, context: ContextBatch, columns: Tensor) -> Tensor:
        """(batch, experts, columns) what each expert adds to the scores of some items, see `PersonalModel.shares`."""
        return self._model.shares(context, columns)

    def estimates(self, rows: Sequence[FeatureRow], asked: Sequence[np.ndarray]) -> Iterator[Estimates]:
        """Scores of each context's items, (asked,) int64 item index of each, 0 for an unknown one."""
        for own, _, scores in self.parts(rows, None):
            for logits, indices in zip(scores, asked[own], strict=True):
                yield estimates(logits[columns_of(indices)], None, indices)
