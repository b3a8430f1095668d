"""Which items of a large catalogue are worth an exact score for a context. It ranks nothing itself.

Candidates are the union of: what an index over item vectors finds for the user's own head, what the memories' rows of
the history's items name, what the context knows, and the most popular items.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from recsys.context.batch import ContextBatch
from recsys.experts.content import ContentExpert
from recsys.experts.habit import HabitExpert
from recsys.experts.novelty import NoveltyExpert
from recsys.experts.popularity import PopularityExpert
from recsys.experts.repeat import RepeatExpert
from recsys.model.partial import Heard, PartialScoring
from recsys.model.personal import Generated
from recsys.model.scoring import ScoringNetwork
from recsys.ranking.item_index import ItemIndex

INDEX = "index"
_MOST_ATTRIBUTES = 64
_OF_KNOWN_ITEMS = (HabitExpert, RepeatExpert, NoveltyExpert)
"""They tell apart what a context knows from the rest, and nothing within the rest."""


class RetrievalConfig(BaseModel):
    """When and how far a catalogue is searched before it is scored."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    exact_items: int = Field(default=50_000, ge=0)
    """Up to so many items every one is scored; beyond, candidates are."""
    candidates: int = Field(default=3_000, ge=1)
    """So many the index finds; more where a list is long, or where filters and seen items leave few of them."""
    popular: int = Field(default=200, ge=0)
    """So many of the most popular items are always candidates."""
    remembered: int = Field(default=200, ge=1)
    """So many a memory names at most: those it gives most evidence of."""


class Retrieval:
    """Finds candidates for one context at a time.

    Args:
        partial: the model.
        index: over `item_vectors` of its network.
        config: how many.
    """

    def __init__(self, partial: PartialScoring, index: ItemIndex, config: RetrievalConfig) -> None:
        self.partial = partial
        self.index = index
        self.config = config
        self._folded = _folded(partial.network)
        popularity = partial.network.log_popularity
        self._popular = popularity.topk(min(config.popular, len(popularity))).indices
        self._of_popular = {
            name: expert.weights[:, self._popular].T.contiguous()
            for name, expert in self._folded.items()
            if isinstance(expert, ContentExpert)
        }

    @torch.no_grad()
    def candidates(self, heard: Heard, generated: Generated, number: int) -> Tensor:
        """(candidates,) int64 columns, ascending, all different.

        Args:
            heard: the context.
            generated: its state and head.
            number: how many the index is asked for.
        """
        network, context = self.partial.network, heard.context
        known = torch.cat([context.history[context.history > 0], context.seen]) - 1
        found = [self.index.search(self.query(context, generated), min(number, network.n_items)), self._popular, known]
        found += [heard.evidence.most(row, self.config.remembered) for row in range(len(self.partial.memories))]
        for name, expert in network.others.items():
            if not (name in self._folded or name in self.partial.memories or isinstance(expert, _OF_KNOWN_ITEMS)):
                found.append(expert.score(context)[0].topk(min(number, network.n_items)).indices)
        all_of_them: Tensor = torch.unique(torch.cat(found))
        return all_of_them

    def query(self, context: ContextBatch, generated: Generated) -> Tensor:
        """(width,) float32 whose product with an item's vector is what the item scores, but for a constant.

        What is in it: the body with the user's own bend, popularity, and content by the straight line that is nearest
        to its logarithm over the most popular items. What known items and memories add is not in it.
        """
        network, head = self.partial.network, generated.head
        strength = dict(zip(network.names, network.strength(head).expand(1, -1)[0], strict=True))
        bent = network.bend(generated.states, head)
        state = generated.states if bent is None else bent
        parts = [state[0] * strength[network.names[0]]]
        for name, expert in self._folded.items():
            if isinstance(expert, ContentExpert):
                tastes = expert.tastes(context)[0]
                scale = network.scales[network.names.index(name)]
                own = self._of_popular[name] @ tastes / scale
                parts.append(_apart(tastes * strength[name] * _slope(own, torch.log1p(own.clamp(min=0))))[0])
            else:
                parts.append(_apart(strength[name][None])[0])
        return torch.cat(parts)


def item_vectors(network: ScoringNetwork) -> Tensor:
    """(n_items, width) float32 of even width: the body's vectors and what else of an item's score is linear.

    Each term beside the body's has a dimension of zeros after it, since it weighs more than one of the body's.
    """
    parts = [network.body.items[1:] / network.scales[0]]
    for name, expert in _folded(network).items():
        scale = network.scales[network.names.index(name)]
        told = expert.weights.T if isinstance(expert, ContentExpert) else expert.log_counts[:, None]
        parts.append(_apart(told / scale))
    return torch.cat(parts, dim=1)


def vector_width(network: ScoringNetwork) -> int:
    """How wide `item_vectors` are."""
    return network.width + 2 * sum(
        len(expert.weights) if isinstance(expert, ContentExpert) else 1 for expert in _folded(network).values()
    )


def _folded(network: ScoringNetwork) -> Mapping[str, ContentExpert | PopularityExpert]:
    """The experts whose say of an item is a product with something fixed of the item."""
    return {
        name: expert
        for name, expert in network.others.items()
        if isinstance(expert, PopularityExpert)
        or (isinstance(expert, ContentExpert) and len(expert.weights) <= _MOST_ATTRIBUTES)
    }


def _apart(told: Tensor) -> Tensor:
    """(rows, 2 x terms): a zero after each term."""
    rows = told.reshape(-1, told.shape[-1])
    return torch.stack([rows, torch.zeros_like(rows)], dim=2).flatten(1)


def _slope(x: Tensor, y: Tensor) -> Tensor:
    """() of the least-squares line; 0 where x is one value."""
    centred = x - x.mean()
    return (centred * y).sum() / (centred**2).sum().clamp(min=1e-12)
