"""What callers hand to a client: plain dictionaries with known fields. docs/api.md says what each does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, Required, TypedDict

ColumnValue = str | float | bool | Sequence[str | float] | None
"""A value of one of the workspace's columns."""


class Event(TypedDict, total=False):
    """Something that happened; without `event_id` the client makes one, so that sending it again changes nothing."""

    user_id: Required[str]
    item_id: Required[str]
    event_id: str
    occurred_at: datetime
    event: str
    value: float
    request_id: str


class InlineEvent(TypedDict, total=False):
    """A positive event that the caller knows of; without `occurred_at` it happened just now."""

    item_id: Required[str]
    occurred_at: datetime


class InlineContext(TypedDict, total=False):
    """What the caller knows of a user right now; `history` is oldest first."""

    history: Sequence[InlineEvent]
    profile: Mapping[str, ColumnValue]


class Filter(TypedDict):
    """A condition on an item column."""

    column: str
    op: Literal["=", "!=", "<", "<=", ">", ">=", "in", "not in", "contains", "lacks"]
    value: str | float | Sequence[str | float]


class RecommendOptions(TypedDict, total=False):
    """What else a request for recommendations may say. Left out: the service's way."""

    exclude_seen: bool | None
    exclude_items: Sequence[str]
    include_only: Sequence[str]
    filters: Sequence[Filter]
    diversity: float
    explain: bool
    surface: str


class ScoredContext(TypedDict, total=False):
    """Whom to score for: `user_id`, `context` or both; `items` are candidates of this one alone."""

    user_id: str
    context: InlineContext
    items: Sequence[str]


class ScoresBody(TypedDict, total=False):
    """Candidates for one or many users; `items` are those of everybody who has none of their own."""

    users: Required[Sequence[ScoredContext]]
    items: Sequence[str]
    probabilities: bool


class HeadsBody(TypedDict, total=False):
    """Whose head: `user_id`, `context` or both; `items` are to be scored elsewhere."""

    user_id: str
    context: InlineContext
    items: Sequence[str]


class ItemBody(TypedDict, total=False):
    """An item's attributes, which replace all of them, its availability, or both."""

    attributes: Mapping[str, ColumnValue]
    available: bool


def sendable(value: Any) -> Any:
    """The same as JSON has it: moments as RFC 3339 text, whatever is a sequence as a list."""
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {name: sendable(inner) for name, inner in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return [sendable(inner) for inner in value]
    return value
