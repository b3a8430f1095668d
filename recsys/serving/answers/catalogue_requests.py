"""Items that clients put, change and take away. Knows nothing of files."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import polars as pl
from fastapi import HTTPException
from pydantic import Field

from recsys import columns
from recsys.context.profile_values import typed_profile
from recsys.errors import RecsysError
from recsys.serving.folder.items import Items, ItemSource
from recsys.serving.http.problems import InvalidField, InvalidRequestError, TryAgainError
from recsys.serving.messages.column_values import complaint
from recsys.serving.messages.more_replies import ItemReply
from recsys.serving.messages.requests import (
    MAX_COLUMNS,
    ColumnValues,
    ProfileValue,
    RequestModel,
    one_at_least,
)
from recsys.serving.ports import ItemWriter, ModelSource, NoChampionError, ServedFeatures, ServedModel

_log = logging.getLogger(__name__)


class ItemRequest(RequestModel):
    """An item's attributes, its availability, or both; what is left out stays as it is."""

    model_config = one_at_least(attributes="object", available="boolean")

    attributes: ColumnValues | None = Field(
        default=None,
        max_length=MAX_COLUMNS,
        description="Values of the workspace's item columns. They replace all of the item's: a column that is not "
        "named is not known afterwards.",
    )
    available: bool | None = Field(default=None, description="Whether it may be recommended; a new item may.")


@dataclass(frozen=True, slots=True)
class CatalogueRequests:
    """The one way of an item into the catalogue while the service runs.

    Attributes:
        writer: makes changes durable.
        items: what is known of items now.
        models: to tell which items can be scored.
        features: what is read while there is no model.
    """

    writer: ItemWriter
    items: ItemSource
    models: ModelSource
    features: ServedFeatures

    def put(self, item_id: str, request: ItemRequest, request_id: str) -> ItemReply:
        """Stores an item.

        Raises:
            InvalidRequestError: an attribute has no column or the wrong type, or nothing was sent.
            TryAgainError: it could not be stored.
        """
        if request.attributes is None and request.available is None:
            raise InvalidRequestError(InvalidField(("attributes",), "Give attributes, available, or both."))
        attributes = None if request.attributes is None else self._typed(request.attributes)
        _stored(lambda: self.writer.put(item_id, attributes, request.available), request_id)
        return self._reply(item_id, request_id)

    def remove(self, item_id: str, request_id: str) -> ItemReply:
        """Takes an item away; can be repeated.

        Raises:
            HTTPException: 404, neither catalogue nor model know it.
            TryAgainError: it could not be stored.
        """
        model, items = self._model(), self.items.current()
        known = item_id in items.unavailable or item_id in items.frame[columns.ITEM_ID]
        if not known and (model is None or item_id not in model.vocabulary):
            raise HTTPException(404, "Neither the catalogue nor the model know this item.")
        _stored(lambda: self.writer.remove(item_id), request_id)
        return self._reply(item_id, request_id)

    def _typed(self, attributes: Mapping[str, ProfileValue]) -> dict[str, object]:
        kinds = self.items.current().schema.item_columns
        wrong = []
        for name, value in attributes.items():
            known = ", ".join(kinds) or "none"
            missing = f"There is no such item column; this workspace has: {known}."
            fault = complaint(value, kinds[name]) if name in kinds else missing
            wrong += [] if fault is None else [InvalidField(("attributes", name), fault)]
        if wrong:
            raise InvalidRequestError(*wrong)
        return dict(typed_profile(attributes, kinds))

    def _reply(self, item_id: str, request_id: str) -> ItemReply:
        model, items = self._model(), self.items.current()
        attributes = _attributes(items, item_id)
        available = item_id not in items.unavailable
        scorable = model is not None and item_id in model.vocabulary
        return ItemReply(
            request_id=request_id,
            model_version=None if model is None else model.version,
            feature_service=(self.features if model is None else model.features).service,
            degraded=None,
            item_id=item_id,
            in_catalogue=attributes is not None,
            available=available,
            scorable=scorable,
            attributes=attributes or {},
            note=_note(available=available, scorable=scorable),
        )

    def _model(self) -> ServedModel | None:
        try:
            return self.models.current()
        except NoChampionError:
            return None


def _stored(change: Callable[[], None], request_id: str) -> None:
    try:
        change()
    except (RecsysError, OSError, sqlite3.Error) as error:
        _log.exception("request %s: the catalogue could not be changed", request_id)
        raise TryAgainError("not_stored", "The catalogue could not be changed. Send the same request again.") from error


def _attributes(items: Items, item_id: str) -> dict[str, str | float | list[str] | None] | None:
    found = items.frame.filter(pl.col(columns.ITEM_ID) == item_id).select(*items.schema.item_columns).to_dicts()
    return found[0] if found else None


def _note(*, available: bool, scorable: bool) -> str | None:
    if not available:
        return "It is not available."
    if not scorable:
        return "No model was trained on it yet: it is kept, and scored once a training has seen events of it."
    return None
