"""Scores, masks and ranks: evaluation, batch, serving and notebooks all recommend through this class.

It knows feature rows and a fitted model; it knows no store, no registry and no protocol.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Unpack

import numpy as np
import polars as pl
import torch
from torch import Tensor

from recsys.context.batch import ContextBatch, FeatureRow
from recsys.context.encoder import ContextEncoder
from recsys.data.schema import WorkspaceSchema
from recsys.errors import ConfigError
from recsys.model.calibration import Calibration
from recsys.model.head import HeadWeights
from recsys.model.partial import PartialScoring
from recsys.model.personal import PersonalModel
from recsys.model.portable import PortableHead
from recsys.model.repetition import usual_basket
from recsys.ranking.diversity import diverse_order, pool_size
from recsys.ranking.estimates import Estimates, columns_of, estimates
from recsys.ranking.every_item import EveryItem
from recsys.ranking.explanation import Explanation, explain_items
from recsys.ranking.forward import Forward
from recsys.ranking.frames import Options, contexts, recommended
from recsys.ranking.given_items import GivenItems, pays
from recsys.ranking.kept_heads import KeptHeads
from recsys.ranking.large import LargeCatalogue
from recsys.ranking.masks import item_mask, seen_mask
from recsys.ranking.searched import Searched
from recsys.ranking.similarity import nearest


@dataclass(frozen=True, slots=True)
class Ranking:
    """Recommended items, best first.

    Attributes:
        item_ids: at most k ids, ties in the vocabulary's order; fewer when fewer may be recommended.
        scores: their logits under the user's head.
    """

    item_ids: tuple[str, ...]
    scores: tuple[float, ...]


class Recommender:
    """A fitted model with the vocabulary and the encoder it was fitted with.

    Args:
        model: experts and generator.
        encoder: feature rows to tensors, with the model's vocabulary.
        schema: the workspace's schema as of training.
        calibration: logits to probabilities.
        version: what to call this model in replies.
        forward: from rows to scores; None: nothing is kept between calls.
        large: searches the catalogue before items are scored; None: every item is scored.
    """

    def __init__(
        self,
        model: PersonalModel,
        encoder: ContextEncoder,
        schema: WorkspaceSchema,
        calibration: Calibration,
        version: str,
        forward: Forward | None = None,
        large: LargeCatalogue | None = None,
    ) -> None:
        self.model = model
        self.encoder = encoder
        self.schema = schema
        self.calibration = calibration
        self.version = version
        self.vocabulary = encoder.vocabulary
        self.large = large
        self._forward = forward or Forward(model, encoder)
        self._every = EveryItem(model, encoder, self._forward)
        self._catalogue = self._every if large is None else Searched(large, self._forward)
        self._given: EveryItem | GivenItems = self._every
        if large is not None or pays(model):
            self._given = GivenItems(PartialScoring(model) if large is None else large.partial, self._forward)

    def calibrated(self, calibration: Calibration) -> Recommender:
        """The same recommender with other probabilities."""
        return Recommender(self.model, self.encoder, self.schema, calibration, self.version, self._forward, self.large)

    def for_many(self, room: int | None = None) -> Recommender:
        """The same recommender, faster for many contexts at once; it holds its own copy of memories' dense weights.

        A catalogue that is searched is not scored as a whole, so there is nothing to be faster at.

        Args:
            room: bytes that the copies may take, see `ScoringNetwork.in_blocks`; None: any number.
        """
        if self.large is not None:
            return self
        return Recommender(self.model.in_blocks(room), self.encoder, self.schema, self.calibration, self.version)

    def keeping(self, kept: KeptHeads, identity: str) -> Recommender:
        """The same recommender, which keeps what it generates for users.

        Args:
            kept: where.
            identity: another one for every other model, such as the hash of the model's content.
        """
        forward = self._forward.keeping(kept, identity)
        return Recommender(self.model, self.encoder, self.schema, self.calibration, self.version, forward, self.large)

    @torch.inference_mode()
    def recommend(
        self,
        rows: Sequence[FeatureRow],
        k: int = 10,
        *,
        exclude_seen: bool | None = None,
        exclude_items: Sequence[str] = (),
        include_only: Sequence[str] | None = None,
        allowed: np.ndarray | None = None,
        diversity: float = 0.0,
        moments: Sequence[int] | None = None,
    ) -> list[Ranking]:
        """The best k items for each context.

        Args:
            rows: feature rows, one a context.
            k: how many, at least 1; more than the catalogue holds gives all that may be recommended.
            exclude_seen: leave out what the user has seen; None does so unless items repeat in this workspace.
            exclude_items: ids to leave out; unknown ones are ignored.
            include_only: ids to choose among; unknown ones are ignored; None is the whole vocabulary.
            allowed: (n_items,) bool, what may be recommended at all, as `flags` gives it; None is everything.
            diversity: 0 is the model's order; up to 1 items differ more from those before them (`diverse_order`).
                Scores stay the model's.
            moments: when each recommendation is asked for, microseconds.

        Raises:
            ConfigError: k is below 1, or diversity is not between 0 and 1.
        """
        if k < 1:
            raise ConfigError(f"k is {k}; ask for at least 1 item.")
        if not 0 <= diversity <= 1:
            raise ConfigError(f"diversity is {diversity}; give a number from 0 to 1.")
        if not rows:
            return []
        hidden = torch.zeros(len(self.vocabulary), dtype=torch.bool)
        if exclude_items:
            hidden |= item_mask(self.encoder.item_indices(exclude_items), len(self.vocabulary))
        if include_only is not None:
            hidden |= ~item_mask(self.encoder.item_indices(include_only), len(self.vocabulary))
        if allowed is not None:
            hidden |= ~torch.from_numpy(allowed)
        n_items = len(self.vocabulary)
        number = min(k, n_items) if diversity == 0 else pool_size(k, n_items)

        def mask(context: ContextBatch) -> Tensor:
            return self.mask(context, exclude_seen=exclude_seen) | hidden

        found = self._catalogue.best(rows, moments, mask, number)
        return [self._ranking(scores, columns, k, diversity) for scores, columns in found]

    def recommend_frame(
        self,
        events: pl.DataFrame,
        k: int = 10,
        *,
        profiles: pl.DataFrame | None = None,
        **options: Unpack[Options],
    ) -> pl.DataFrame:
        """The best k items for every user of a frame, in this process.

        Args:
            events: user_id, item_id and timestamp or position of many users, and more (see `frames.contexts`).
            k: as in `recommend`.
            profiles: user_id and some of the workspace's user columns; users without events get recommendations too.
            options: as in `recommend`, for everybody alike.

        Returns:
            user_id, rank (from 1), item_id, score: users in the order of their first event, best item first.

        Raises:
            ConfigError: as in `recommend`.
            DataError: a column is missing or has the wrong type; everything that is wrong is listed.
        """
        return recommended(self, contexts(events, self.schema, profiles), k, **options)

    def flags(self, item_ids: Sequence[str]) -> np.ndarray:
        """(n_items,) bool in the vocabulary's order: True at these items; unknown ones are ignored."""
        marked: np.ndarray = item_mask(self.encoder.item_indices(item_ids), len(self.vocabulary)).numpy()
        return marked

    def score(self, rows: Sequence[FeatureRow], moments: Sequence[int] | None = None) -> Tensor:
        """(batch, n_items) logits of every item, nothing masked; column j is `vocabulary[j]`."""
        return self._forward.scored(rows, moments)[1]

    def heads(self, rows: Sequence[FeatureRow], moments: Sequence[int] | None = None) -> HeadWeights:
        """The generated head of each context."""
        return self._catalogue.heads(rows, moments)

    def portable(self, row: FeatureRow, item_ids: Sequence[str]) -> PortableHead:
        """One context's head with all that is needed to score these items elsewhere, in that order.

        Raises:
            ConfigError: an item is not in the vocabulary.
        """
        return self._given.portable(row, torch.from_numpy(self._known_indices(item_ids) - 1))

    def explain(self, row: FeatureRow, item_ids: Sequence[str], moment: int | None = None) -> list[Explanation]:
        """Why these items score as they do for this context.

        Raises:
            ConfigError: an item is not in the vocabulary.
        """
        indices = self._known_indices(item_ids)
        context = self.encoder.encode([row], None if moment is None else [moment])
        given, experts = self._given, self.model.network.names
        return explain_items(given.shares, experts, context, indices, self.vocabulary, given.at_once)

    def similar(self, item_id: str, k: int = 10, *, allowed: np.ndarray | None = None) -> Ranking:
        """Items like an item: `scores` are cosines of the body's item vectors, their common part taken out.

        Raises:
            ConfigError: the item is not in the vocabulary.
        """
        [index] = self._known_indices([item_id]).tolist()
        may = None if allowed is None else torch.from_numpy(allowed)
        found, cosines = nearest(self.model.network.unit_items, index, k, may)
        return Ranking(tuple(self.vocabulary[column] for column in found), tuple(cosines))

    def probabilities(self, rows: Sequence[FeatureRow], moments: Sequence[int] | None = None) -> Tensor:
        """(batch, n_items) calibrated probability that each item is the next one; 0 for items that are masked."""
        context, scores, _ = self._forward.scored(rows, moments)
        return self._probabilities(context, scores)

    def estimate(
        self, rows: Sequence[FeatureRow], item_ids: Sequence[Sequence[str]], *, probabilities: bool = False
    ) -> list[Estimates]:
        """Scores of given items, of a large catalogue without those of others where the model's heads allow it.

        Probabilities take a pass over every item, as what one item has is what the others have not. What is computed
        for every item is so for few contexts at a time.

        Args:
            rows: feature rows, one a context.
            item_ids: each context's items; unknown ones have no score.
            probabilities: also the calibrated probabilities, as `probabilities` gives them.
        """
        asked = [self.encoder.item_indices(own) for own in item_ids]
        if not probabilities:
            return list(self._given.estimates(rows, asked))
        found = []
        for own, context, scores in self._every.parts(rows, None):
            chances = self._probabilities(context, scores)
            for logits, chance, indices in zip(scores, chances, asked[own], strict=True):
                at = columns_of(indices)
                found.append(estimates(logits[at], chance[at], indices))
        return found

    def basket_sizes(self, context: ContextBatch) -> np.ndarray:
        """(batch,) float32 usual size of each context's baskets, by which probabilities go; 1 where there are none."""
        sizes: np.ndarray = usual_basket(context, baskets=self.schema.baskets).numpy()
        return sizes

    def mask(self, context: ContextBatch, *, exclude_seen: bool | None = None) -> Tensor:
        """(batch, n_items) bool: what may not be recommended to each context."""
        hide = not self.schema.repeats if exclude_seen is None else exclude_seen
        n_items = len(self.vocabulary)
        return seen_mask(context, n_items) if hide else torch.zeros(len(context), n_items, dtype=torch.bool)

    def describe(self) -> Mapping[str, object]:
        """What people ask of a model: its version, kind of head, experts and size."""
        return {
            "version": self.version,
            "head": self.model.config.head.kind,
            "experts": list(self.model.network.names),
            "items": len(self.vocabulary),
        }

    def context_faults(self) -> Mapping[str, int]:
        """How often each fault of a context was met and treated so far, see `ContextFaults`."""
        return self.encoder.faults.as_dict()

    def _known_indices(self, item_ids: Sequence[str]) -> np.ndarray:
        indices = self.encoder.item_indices(item_ids)
        unknown = [item for item, index in zip(item_ids, indices, strict=True) if index == 0]
        if unknown:
            raise ConfigError(f"The model does not know these items: {', '.join(unknown)}.")
        return indices

    def _probabilities(self, context: ContextBatch, scores: Tensor) -> Tensor:
        softmax = torch.softmax(scores.masked_fill(self.mask(context), -torch.inf), dim=1)
        return torch.from_numpy(self.calibration.probabilities(softmax.numpy(), self.basket_sizes(context)))

    def _ranking(self, scores: Tensor, columns: Tensor, k: int, diversity: float) -> Ranking:
        if diversity > 0 and len(scores):
            order = diverse_order(scores, self.model.network.unit_items[columns + 1], k, diversity)
            scores, columns = scores[order], columns[order]
        return Ranking(tuple(self.vocabulary[c] for c in columns.tolist()), tuple(scores.tolist()))
