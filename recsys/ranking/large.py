"""The best items of a large catalogue: candidates first, then exact scores of these alone, and the same rules."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self

import numpy as np
import torch
from torch import Tensor

from recsys.model.partial import Heard, PartialScoring, heads_read_a_part
from recsys.model.personal import Generated, PersonalModel
from recsys.ranking.item_index import ItemIndex
from recsys.ranking.retrieval import INDEX, Retrieval, RetrievalConfig, item_vectors, vector_width
from recsys.ranking.top_k import top_k

_MOST_TIMES = 8
"""With less than one in so many items left, those are scored, and nothing is searched."""
_TIMES_K = 8
"""So many candidates for each place of a list, at least."""


class LargeCatalogue:
    """Ranks one context at a time without a look at every item.

    Args:
        retrieval: finds candidates.
    """

    def __init__(self, retrieval: Retrieval) -> None:
        self.retrieval = retrieval
        self.partial: PartialScoring = retrieval.partial

    @classmethod
    def of(
        cls, model: PersonalModel, config: RetrievalConfig, tensors: Mapping[str, Tensor] | None = None
    ) -> Self | None:
        """What a model needs for its catalogue; None where every item is scored.

        Args:
            model: the fitted model.
            config: from how many items on.
            tensors: its index, as `index_of` finds it; empty or None: the index is built, some ten seconds a million.

        Raises:
            SnapshotError: the tensors are no index of this model's items.
            ConfigError: faiss is not installed.
        """
        network = model.network
        if network.n_items <= config.exact_items or not heads_read_a_part(model):
            return None
        if tensors:
            index = ItemIndex.rebuild(tensors, network.n_items, vector_width(network))
        else:
            index = ItemIndex.build(item_vectors(network))
        return cls(Retrieval(PartialScoring(model), index, config))

    def tensors(self) -> dict[str, Tensor]:
        """The index, as a snapshot holds it beside the model's tensors."""
        return {f"{INDEX}.{name}": tensor for name, tensor in self.retrieval.index.tensors().items()}

    def best(self, heard: Heard, generated: Generated, hidden: Tensor, k: int) -> tuple[Tensor, Tensor]:
        """The best k items of one context.

        Where filters leave few items these are scored exactly, all of them; so they are where too few of the
        candidates may be shown.

        Args:
            heard: the context.
            generated: its state and head.
            hidden: (n_items,) bool, what may not be shown.
            k: how many, at least 1.

        Returns:
            (at most k,) scores, largest first, ties in the vocabulary's order, and (at most k,) int64 columns.
        """
        left = len(hidden) - int(np.count_nonzero(hidden.numpy()))
        wanted = max(self.retrieval.config.candidates, _TIMES_K * k)
        times = len(hidden) / max(left, 1)
        if left <= wanted or times > _MOST_TIMES:
            return self._scored(heard, generated, (~hidden).nonzero()[:, 0], k)
        number = int(wanted * times) + min(len(heard.context.seen), wanted)
        columns = self.retrieval.candidates(heard, generated, number)
        shown = columns[~hidden[columns]]
        if len(shown) < k:
            shown = (~hidden).nonzero()[:, 0]
        return self._scored(heard, generated, shown, k)

    def _scored(self, heard: Heard, generated: Generated, columns: Tensor, k: int) -> tuple[Tensor, Tensor]:
        if not len(columns):
            return torch.zeros(0), columns
        values, places = top_k(self.partial.scores(heard, generated, columns), min(k, len(columns)))
        return values[0], columns[places[0]]


def index_of(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The index among a snapshot's tensors; empty where it holds none."""
    prefix = f"{INDEX}."
    return {name.removeprefix(prefix): own for name, own in tensors.items() if name.startswith(prefix)}
