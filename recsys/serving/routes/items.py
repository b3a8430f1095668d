"""GET /v1/items/{item_id}/similar, PUT and DELETE /v1/items/{item_id}."""

from __future__ import annotations

from functools import partial
from typing import Annotated

from fastapi import Body, FastAPI, Query, Request, Response

from recsys.serving.answers.answering import Answering
from recsys.serving.answers.catalogue_requests import CatalogueRequests, ItemRequest
from recsys.serving.answers.similar import Similar, SimilarQuery
from recsys.serving.http.documentation import documented
from recsys.serving.http.json_reply import Json
from recsys.serving.http.middleware import request_id
from recsys.serving.messages import more_examples as examples
from recsys.serving.messages.more_replies import ItemReply, SimilarReply
from recsys.serving.routes.paths import ItemId


def add_similar(app: FastAPI, similar: Similar) -> None:
    """Adds the route."""

    @app.get(
        "/v1/items/{item_id:id}/similar",
        response_model=SimilarReply,
        responses=documented(examples.SIMILAR_REPLY, 404, 422, 503),
        summary="The items most like one",
    )
    def neighbours(request: Request, item_id: ItemId, query: Annotated[SimilarQuery, Query()]) -> Response:
        """By the cosine of the item vectors that the body was trained to; items that are not available are left out."""
        return Json(similar.answer(item_id, query, request_id(request.scope)))


def add_item_changes(app: FastAPI, changes: CatalogueRequests, answering: Answering) -> None:
    """Adds the routes that change the catalogue, which wait for whoever else writes."""

    @app.put(
        "/v1/items/{item_id:id}",
        response_model=ItemReply,
        responses=documented(examples.ITEM_REPLY, 422, 503),
        summary="Store an item, or say whether it is available",
    )
    async def put(
        request: Request,
        item_id: ItemId,
        body: Annotated[ItemRequest, Body(openapi_examples=examples.ITEM_REQUESTS)],
    ) -> Response:
        """Durable when it answers, and felt by every service of the workspace at its next request.

        An item that the model was not trained on is kept for the catalogue and cannot be scored yet; `note` says so.
        The attributes are what the next training reads, unless an import brings others.
        """
        return Json(await answering.run(partial(changes.put, item_id, body, request_id(request.scope))))

    @app.delete(
        "/v1/items/{item_id:id}",
        response_model=ItemReply,
        responses=documented(examples.REMOVED_ITEM_REPLY, 404, 422, 503),
        summary="Take an item away",
    )
    async def remove(request: Request, item_id: ItemId) -> Response:
        """Out of the catalogue and of all recommendations, until it is put again. Its events stay."""
        return Json(await answering.run(partial(changes.remove, item_id, request_id(request.scope))))
