"""What is asked of the service and how its answers are read: the same for both clients, and nothing of the network."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, Unpack
from urllib.parse import quote

from pydantic import BaseModel

from recsys.client.bodies import (
    ColumnValue,
    Event,
    HeadsBody,
    InlineEvent,
    ItemBody,
    RecommendOptions,
    ScoresBody,
    sendable,
)
from recsys.errors import ConfigError
from recsys.serving.messages.more_replies import (
    DeletionReply,
    HeadsReply,
    ItemReply,
    ScoresReply,
    SimilarReply,
    UserContextReply,
)
from recsys.serving.messages.replies import EventsReply, Health, ModelReply, Readiness, RecommendationReply

Reply = TypeVar("Reply")
Json = dict[str, Any]
JSON, SAFETENSORS = "application/json", "application/vnd.safetensors"
DELETION_SECONDS = 1_800.0
"""A deletion waits for other jobs and rewrites the event log, about a second for 10 MB."""
_Model = TypeVar("_Model", bound=BaseModel)
_REPEATABLE = frozenset({"GET", "HEAD", "PUT", "DELETE"})


@dataclass(frozen=True, slots=True)
class Call(Generic[Reply]):
    """One request.

    Attributes:
        method: of HTTP.
        path: below the service's address.
        read: makes the reply of its bytes; raises ValueError where they are none.
        body: to be sent as JSON; None for none.
        repeatable: sending it twice is no different from sending it once.
        patience: seconds for the reply of work that takes long and goes on in the service when nobody waits for it any
            longer: it is not sent again meanwhile. None: the client's own timeout.
        media_type: what the reply has to be.
    """

    method: str
    path: str
    read: Callable[[bytes], Reply]
    body: Json | None = None
    repeatable: bool = True
    patience: float | None = None
    media_type: str = JSON


def recommend(
    user_id: str | None,
    history: Sequence[str | InlineEvent] | None,
    profile: Mapping[str, ColumnValue] | None,
    k: int,
    **options: Unpack[RecommendOptions],
) -> Call[RecommendationReply]:
    """POST /v1/recommendations."""
    said = {name: value for name, value in options.items() if value is not None}
    body = {"user_id": user_id, "k": k, **_context(history, profile), **said}
    return Call("POST", "/v1/recommendations", _typed(RecommendationReply), sendable(body))


def _context(history: Sequence[str | InlineEvent] | None, profile: Mapping[str, ColumnValue] | None) -> Json:
    """The part of a body that says what the caller knows of a user; empty when that is nothing."""
    if history is None and profile is None:
        return {}
    events = [{"item_id": event} if isinstance(event, str) else event for event in history or ()]
    return {"context": {"history": events, "profile": profile or {}}}


def post_events(events: Sequence[Event]) -> Call[EventsReply]:
    """POST /v1/events, each with an id of its own: a retry after a lost reply counts nothing twice."""
    return Call("POST", "/v1/events", _typed(EventsReply), {"events": [_identified(event) for event in events]})


def model() -> Call[ModelReply]:
    """GET /v1/model."""
    return Call("GET", "/v1/model", _typed(ModelReply))


def health() -> Call[Health]:
    """GET /healthz."""
    return Call("GET", "/healthz", _typed(Health), repeatable=False)


def ready() -> Call[Readiness]:
    """GET /readyz; asked once, as "not yet" is an answer."""
    return Call("GET", "/readyz", _typed(Readiness), repeatable=False)


def plain(
    method: str, path: str, body: Mapping[str, Any] | None = None, *, repeatable: bool | None = None
) -> Call[Json]:
    """Any route; its reply as JSON. Repeatable, unless said otherwise, where HTTP says that the method is."""
    again = method.upper() in _REPEATABLE if repeatable is None else repeatable
    return Call(method.upper(), path, _object, None if body is None else dict(body), again)


def scores(body: ScoresBody) -> Call[ScoresReply]:
    """POST /v1/scores."""
    return Call("POST", "/v1/scores", _typed(ScoresReply), sendable(body))


def heads(body: HeadsBody) -> Call[HeadsReply]:
    """POST /v1/heads."""
    return Call("POST", "/v1/heads", _typed(HeadsReply), sendable(body))


def heads_file(body: HeadsBody) -> Call[bytes]:
    """POST /v1/heads, as a safetensors file."""
    return Call("POST", "/v1/heads", bytes, sendable(body), media_type=SAFETENSORS)


def similar(item_id: str, k: int) -> Call[SimilarReply]:
    """GET /v1/items/{id}/similar."""
    return Call("GET", f"/v1/items/{_segment(item_id)}/similar?k={k}", _typed(SimilarReply))


def user_context(user_id: str) -> Call[UserContextReply]:
    """GET /v1/users/{id}/context."""
    return Call("GET", f"/v1/users/{_segment(user_id)}/context", _typed(UserContextReply))


def delete_user(user_id: str) -> Call[DeletionReply]:
    """DELETE /v1/users/{id}."""
    path = f"/v1/users/{_segment(user_id)}"
    return Call("DELETE", path, _typed(DeletionReply), patience=DELETION_SECONDS)


def put_item(item_id: str, item: ItemBody) -> Call[ItemReply]:
    """PUT /v1/items/{id}."""
    return Call("PUT", f"/v1/items/{_segment(item_id)}", _typed(ItemReply), sendable(item))


def delete_item(item_id: str) -> Call[ItemReply]:
    """DELETE /v1/items/{id}."""
    return Call("DELETE", f"/v1/items/{_segment(item_id)}", _typed(ItemReply))


def _typed(kind: type[_Model]) -> Callable[[bytes], _Model]:
    """Reads a reply; what a newer service says beyond what this client knows is left out."""
    return lambda answer: kind.model_validate_json(answer, extra="ignore")


def _object(answer: bytes) -> Json:
    found = json.loads(answer)
    if not isinstance(found, dict):
        raise ValueError("not an object")
    return found


def _identified(event: Event) -> Json:
    sent: Json = sendable({"event_id": uuid.uuid4().hex, **event})
    return sent


def _segment(text: str) -> str:
    """An id as one part of a path, whatever it holds but these two: to every URL parser they are no names."""
    if text in (".", ".."):
        raise ConfigError(f"'{text}' cannot be asked for by its id: in an address it means a folder.")
    return quote(text, safe="")
