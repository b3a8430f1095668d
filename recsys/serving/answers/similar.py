"""Items like an item, by what the model learned of them."""

from __future__ import annotations

from dataclasses import dataclass

from fastapi import HTTPException
from pydantic import BaseModel, ConfigDict, Field

from recsys.serving.answers.choosing import Choice
from recsys.serving.http.problems import InvalidField, InvalidRequestError
from recsys.serving.messages.degraded import described
from recsys.serving.messages.more_replies import SimilarItem, SimilarReply
from recsys.serving.messages.requests import MAX_LISTED
from recsys.serving.ports import ModelSource


class SimilarQuery(BaseModel):
    """What may stand after the question mark."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    k: int = Field(default=10, ge=1, le=MAX_LISTED, description="How many items, less than the catalogue has.")


_MEASURE = "cosine of the body's trained item vectors, their mean taken out"


@dataclass(frozen=True, slots=True)
class Similar:
    """The one way to an item's neighbours.

    Attributes:
        models: which model answers.
        choice: which items may come, and what they are called.
    """

    models: ModelSource
    choice: Choice

    def answer(self, item_id: str, query: SimilarQuery, request_id: str) -> SimilarReply:
        """The neighbours that are available.

        Raises:
            HTTPException: 404, the model does not know the item.
            InvalidRequestError: k is not less than the size of the catalogue.
            NoChampionError: there is no model.
        """
        model = self.models.current()
        if item_id not in model.vocabulary:
            raise HTTPException(404, "The model does not know this item: it was not trained on any event of it.")
        most = max(len(model.vocabulary) - 1, 1)
        if query.k > most and "k" in query.model_fields_set:
            raise InvalidRequestError(InvalidField(("k",), f"There are {most} other items; ask for 1 to {most}."))
        items = self.choice.items.current()
        found = model.ranker.similar(item_id, query.k, allowed=self.choice.allowed((), model, items))
        titles = items.titles
        return SimilarReply(
            request_id=request_id,
            model_version=model.version,
            feature_service=model.features.service,
            degraded=described(model.degraded),
            item_id=item_id,
            title=titles.get(item_id),
            measure=_MEASURE,
            items=[
                SimilarItem(item_id=own, rank=rank, similarity=cosine, title=titles.get(own))
                for rank, (own, cosine) in enumerate(zip(found.item_ids, found.scores, strict=True), start=1)
            ],
        )
