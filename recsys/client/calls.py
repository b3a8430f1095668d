"""What is asked of the service and how its answers are read: the same for both clients, and nothing of the network."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, Required, TypedDict, TypeVar, Unpack
from urllib.parse import quote

from pydantic import BaseModel

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
_Model = TypeVar("_Model", bound=BaseModel)
_REPEATABLE = frozenset({"GET", "HEAD", "PUT", "DELETE"})


class Event(TypedDict, total=False):
    """Something that happened; without `event_id` the client makes one, so that sending it again changes nothing."""

    user_id: Required[str]
    item_id: Required[str]
    event_id: str
    occurred_at: datetime
    event: str
    value: float
    request_id: str


class RecommendOptions(TypedDict, total=False):
    """What else a request for recommendations may say; docs/api.md says what each does. Left out: the service's way."""

    exclude_seen: bool | None
    exclude_items: Sequence[str]
    include_only: Sequence[str]
    filters: Sequence[Mapping[str, object]]
    diversity: float
    explain: bool
    surface: str


@dataclass(frozen=True, slots=True)
class Call(Generic[Reply]):
    """One request.

    Attributes:
        method: of HTTP.
        path: below the service's address.
        read: makes the reply of its JSON.
        body: to be sent as JSON; None for none.
        repeatable: sending it twice is no different from sending it once.
    """

    method: str
    path: str
    read: Callable[[Json], Reply]
    body: Mapping[str, Any] | None = None
    repeatable: bool = True


def recommend(
    user_id: str | None,
    history: Sequence[str] | None,
    profile: Mapping[str, object] | None,
    k: int,
    **options: Unpack[RecommendOptions],
) -> Call[RecommendationReply]:
    """POST /v1/recommendations."""
    said = {name: value for name, value in options.items() if value is not None}
    body: Json = {"user_id": user_id, "k": k, **_context(history, profile), **said}
    return Call("POST", "/v1/recommendations", _typed(RecommendationReply), body)


def _context(history: Sequence[str] | None, profile: Mapping[str, object] | None) -> Json:
    """The part of a body that says what the caller knows of a user; empty when that is nothing."""
    if history is None and profile is None:
        return {}
    events = [{"item_id": item_id} for item_id in history or ()]
    return {"context": {"history": events, "profile": dict(profile or {})}}


def post_events(events: Sequence[Event]) -> Call[EventsReply]:
    """POST /v1/events, each with an id of its own: a retry after a lost reply counts nothing twice."""
    return Call("POST", "/v1/events", _typed(EventsReply), {"events": [_sendable(event) for event in events]})


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
    return Call(method.upper(), path, _as_it_is, body, again)


def scores(body: Mapping[str, Any]) -> Call[ScoresReply]:
    """POST /v1/scores."""
    return Call("POST", "/v1/scores", _typed(ScoresReply), body)


def heads(body: Mapping[str, Any]) -> Call[HeadsReply]:
    """POST /v1/heads."""
    return Call("POST", "/v1/heads", _typed(HeadsReply), body)


def similar(item_id: str, k: int) -> Call[SimilarReply]:
    """GET /v1/items/{id}/similar."""
    return Call("GET", f"/v1/items/{_segment(item_id)}/similar?k={k}", _typed(SimilarReply))


def user_context(user_id: str) -> Call[UserContextReply]:
    """GET /v1/users/{id}/context."""
    return Call("GET", f"/v1/users/{_segment(user_id)}/context", _typed(UserContextReply))


def delete_user(user_id: str) -> Call[DeletionReply]:
    """DELETE /v1/users/{id}."""
    return Call("DELETE", f"/v1/users/{_segment(user_id)}", _typed(DeletionReply))


def put_item(item_id: str, item: Mapping[str, Any]) -> Call[ItemReply]:
    """PUT /v1/items/{id}."""
    return Call("PUT", f"/v1/items/{_segment(item_id)}", _typed(ItemReply), item)


def delete_item(item_id: str) -> Call[ItemReply]:
    """DELETE /v1/items/{id}."""
    return Call("DELETE", f"/v1/items/{_segment(item_id)}", _typed(ItemReply))


def _typed(kind: type[_Model]) -> Callable[[Json], _Model]:
    """Reads a reply; what a newer service says beyond what this client knows is left out."""
    return lambda answer: kind.model_validate(answer, extra="ignore")


def _as_it_is(answer: Json) -> Json:
    return answer


def _sendable(event: Event) -> Json:
    sent: Json = {"event_id": uuid.uuid4().hex, **event}
    if isinstance(sent.get("occurred_at"), datetime):
        sent["occurred_at"] = sent["occurred_at"].isoformat()
    return sent


def _segment(text: str) -> str:
    """An id as one part of a path, whatever it holds but these two: to every URL parser they are no names."""
    if text in (".", ".."):
        raise ConfigError(f"'{text}' cannot be asked for by its id: in an address it means a folder.")
    return quote(text, safe="")
