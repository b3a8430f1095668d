"""Scores, masks and ranks: evaluation, batch, serving and notebooks all recommend through this class.

It knows feature rows and a fitted model; it knows no store, no registry and no protocol.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from recsys.context.batch import ContextBatch, FeatureRow
from recsys.context.encoder import ContextEncoder
from recsys.data.schema import WorkspaceSchema
from recsys.errors import ConfigError
from recsys.model.calibration import Calibration
from recsys.model.head import HeadWeights
from recsys.model.personal import PersonalModel
from recsys.model.repetition import usual_basket
from recsys.ranking.explanation import Explanation, explain_items
from recsys.ranking.masks import item_mask, seen_mask
from recsys.ranking.top_k import top_k


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
    """

    def __init__(
        self,
        model: PersonalModel,
        encoder: ContextEncoder,
        schema: WorkspaceSchema,
        calibration: Calibration,
        version: str,
    ) -> None:
        self.model = model
        self.encoder = encoder
        self.schema = schema
        self.calibration = calibration
        self.version = version
        self.vocabulary = encoder.vocabulary

    def calibrated(self, calibration: Calibration) -> Recommender:
        """The same recommender with other probabilities."""
        return Recommender(self.model, self.encoder, self.schema, calibration, self.version)

    def recommend(
        self,
        rows: Sequence[FeatureRow],
        k: int = 10,
        *,
        exclude_seen: bool | None = None,
        exclude_items: Sequence[str] = (),
        include_only: Sequence[str] | None = None,
        moments: Sequence[int] | None = None,
    ) -> list[Ranking]:
        """The best k items for each context.

        Args:
            rows: feature rows, one a context.
            k: how many, at least 1; more than the catalogue holds gives all that may be recommended.
            exclude_seen: leave out what the user has seen; None does so unless items repeat in this workspace.
            exclude_items: ids to leave out; unknown ones are ignored.
            include_only: ids to choose among; unknown ones are ignored; None is the whole vocabulary.
            moments: when each recommendation is asked for, microseconds.

        Raises:
            ConfigError: k is below 1.
        """
        if k < 1:
            raise ConfigError(f"k is {k}; ask for at least 1 item.")
        if not rows:
            return []
        context = self.encoder.encode(rows, moments)
        scores = self.model.forward(context).scores
        masked = self.mask(context, exclude_seen=exclude_seen)
        masked |= item_mask(self.encoder.item_indices(exclude_items), len(self.vocabulary))
        if include_only is not None:
            masked |= ~item_mask(self.encoder.item_indices(include_only), len(self.vocabulary))
        return self._best(scores.masked_fill(masked, -torch.inf), k)

    def score(self, rows: Sequence[FeatureRow], moments: Sequence[int] | None = None) -> Tensor:
        """(batch, n_items) logits of every item, nothing masked; column j is `vocabulary[j]`."""
        return self.model.forward(self.encoder.encode(rows, moments)).scores

    def heads(self, rows: Sequence[FeatureRow], moments: Sequence[int] | None = None) -> HeadWeights:
        """The generated head of each context."""
        return self.model.forward(self.encoder.encode(rows, moments)).head

    def explain(self, row: FeatureRow, item_ids: Sequence[str], moment: int | None = None) -> list[Explanation]:
        """Why these items score as they do for this context.

        Raises:
            ConfigError: an item is not in the vocabulary.
        """
        unknown = [
            item for item, index in zip(item_ids, self.encoder.item_indices(item_ids), strict=True) if index == 0
        ]
        if unknown:
            raise ConfigError(f"The model does not know these items: {', '.join(unknown)}.")
        context = self.encoder.encode([row], None if moment is None else [moment])
        return explain_items(self.model, context, self.encoder.item_indices(item_ids), self.vocabulary)

    def probabilities(self, rows: Sequence[FeatureRow], moments: Sequence[int] | None = None) -> Tensor:
        """(batch, n_items) calibrated probability that each item is the next one; 0 for items that are masked."""
        context = self.encoder.encode(rows, moments)
        scores = self.model.forward(context).scores.masked_fill(self.mask(context), -torch.inf)
        softmax = torch.softmax(scores, dim=1)
        return torch.from_numpy(self.calibration.probabilities(softmax.numpy(), self.basket_sizes(context)))

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

    def _best(self, scores: Tensor, k: int) -> list[Ranking]:
        values, columns = top_k(scores, min(k, scores.shape[1]))
        allowed = torch.isfinite(values).sum(1).tolist()
        return [
            Ranking(tuple(self.vocabulary[c] for c in row[:n]), tuple(own[:n]))
            for row, own, n in zip(columns.tolist(), values.tolist(), allowed, strict=True)
        ]
