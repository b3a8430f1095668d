"""What clients may send. Unknown fields are errors; every field has a bound, so that memory has one."""

from __future__ import annotations

import math
import re
from datetime import datetime
from typing import Annotated, Any, TypeVar

from pydantic import (
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    StringConstraints,
    model_validator,
)

from recsys.data.conditions import Condition, Operator
from recsys.data.ids import REQUEST_ID_FORM

MAX_HISTORY = 1_000
MAX_EXCLUDED = 10_000
MAX_EVENTS = 1_000
MAX_FILTERS = 20
MAX_FILTER_VALUES = 1_000
MAX_EXPLAINED = 50
MAX_LISTED = 50_000
"""Items of one list: as many as are scored where every one is."""
MAX_COLUMNS = 256
_MAX_TEXT = 10_000
_TOLD_APART = 3
_RFC_3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]([01]\d|2[0-3]):[0-5]\d)", re.ASCII)


def _moment_text(value: object) -> object:
    """Only RFC 3339 text is a moment: a bare number could be seconds, milliseconds or microseconds."""
    if isinstance(value, datetime):
        return value
    if not isinstance(value, str) or not _RFC_3339.fullmatch(value):
        raise ValueError("write the moment as RFC 3339 text with its offset, for example '2026-05-01T18:30:00Z'")
    return datetime.fromisoformat(value.upper())


def _profile_value(value: object) -> object:
    """One clear complaint instead of one for each member of the union."""
    members = value if isinstance(value, list) else [value]
    if not all(member is None or isinstance(member, (str, int, float)) for member in members) or (
        isinstance(value, list) and None in value
    ):
        raise ValueError("send text, a number, true, false, null, or a list of texts and numbers")
    if len(members) > MAX_COLUMNS or any(len(member) > _MAX_TEXT for member in members if isinstance(member, str)):
        raise ValueError(f"at most {MAX_COLUMNS} entries and {_MAX_TEXT} characters each")
    if any(isinstance(member, float) and not math.isfinite(member) for member in members):
        raise ValueError("NaN and infinity are no numbers; leave out what is not known")
    if any("\x00" in member or _has_half_characters(member) for member in members if isinstance(member, str)):
        raise ValueError("this text holds characters that cannot be stored")
    return value


def _few_columns(value: object) -> object:
    if isinstance(value, dict) and len(value) > MAX_COLUMNS:
        raise ValueError(f"at most {MAX_COLUMNS} columns")
    return value


def _filter_value(value: object) -> object:
    """One clear complaint instead of one for each member of the union."""
    members = value if isinstance(value, list) else [value]
    if not all(isinstance(member, (str, int, float)) and not isinstance(member, bool) for member in members):
        raise ValueError("send text, a number, or a list of them")
    if len(members) > MAX_FILTER_VALUES or any(len(member) > 256 for member in members if isinstance(member, str)):
        raise ValueError(f"at most {MAX_FILTER_VALUES} values and 256 characters each")
    if any(isinstance(member, float) and not math.isfinite(member) for member in members):
        raise ValueError("NaN and infinity are no numbers")
    if any(_has_half_characters(member) for member in members if isinstance(member, str)):
        raise ValueError("this text holds characters that cannot be compared")
    return value


def _has_half_characters(text: str) -> bool:
    return any("\ud800" <= character <= "\udfff" for character in text)


Identifier = Annotated[
    str,
    StringConstraints(min_length=1, max_length=256, pattern=r"^[^\x00]*$"),
    Field(description="An id, as it stands in the workspace's data."),
]
_Member = TypeVar("_Member")
Listed = Annotated[list[_Member], Field(fail_fast=True)]
"""A long list, judged up to its first fault: each fault costs far more than the entry that has it."""
Moment = Annotated[AwareDatetime, BeforeValidator(_moment_text)]
ProfileValue = Annotated[str | int | float | bool | list[str | int | float] | None, BeforeValidator(_profile_value)]
ColumnValues = Annotated[dict[str, ProfileValue], BeforeValidator(_few_columns)]
"""Values of columns by name; how many there are is judged before any of them is."""


class RequestModel(BaseModel):
    """What every part of a request is: strict types, no unknown fields, finite numbers."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _few_fields(cls, value: Any) -> Any:
        """One complaint where it would be one for each of very many unknown fields."""
        if isinstance(value, dict) and len(value) > len(cls.model_fields) + _TOLD_APART:
            raise ValueError(f"this object has {len(value)} fields; it may have: {', '.join(cls.model_fields)}")
        return value


def one_at_least(**types: str) -> ConfigDict:
    """Says in the document that one of these fields must be there and not null; whoever answers judges it.

    Args:
        types: of the fields, as JSON Schema calls them.
    """
    choices: list[JsonValue] = [
        {"required": [name], "properties": {name: {"type": kind}}} for name, kind in types.items()
    ]
    return ConfigDict(json_schema_extra={"anyOf": choices})


class InlineEvent(RequestModel):
    """One positive event of an inline context."""

    item_id: Identifier
    occurred_at: Moment | None = Field(default=None, description="When; left out: just now, in the order given.")


class InlineContext(RequestModel):
    """What the caller knows of the user right now; it is used for this answer and not stored."""

    history: list[InlineEvent] = Field(
        default_factory=list, max_length=MAX_HISTORY, description="Liked, bought or watched items, oldest first."
    )
    profile: ColumnValues = Field(
        default_factory=dict,
        max_length=MAX_COLUMNS,
        description="Values of the workspace's user columns; they win over stored ones.",
    )


FilterValue = Annotated[str | int | float | list[str | int | float], BeforeValidator(_filter_value)]


class Filter(RequestModel):
    """A condition on an item column. An item whose value is not known meets none."""

    column: Annotated[str, StringConstraints(max_length=256)] = Field(description="An item column of the workspace.")
    op: Operator = Field(
        description="numeric: = != < <= > >= in, not in; categorical: = != in, not in; list: contains, lacks; "
        "text: = != contains, lacks (without regard to case)."
    )
    value: FilterValue = Field(
        description="A number for numeric columns, else text; a list of them for `in` and `not in`."
    )

    def condition(self) -> Condition:
        """The same for the catalogue."""
        value = tuple(self.value) if isinstance(self.value, list) else self.value
        return Condition(self.column, self.op, value)


class RecommendationRequest(RequestModel):
    """Give `user_id`, `context`, or both: then the inline history comes after the stored one."""

    model_config = one_at_least(user_id="string", context="object")

    user_id: Identifier | None = None
    context: InlineContext | None = None
    k: int = Field(default=10, ge=1, le=MAX_LISTED, description="How many items, at most the size of the catalogue.")
    exclude_seen: bool | None = Field(
        default=None,
        description="Leave out items that the user has already touched. Default: yes where items do not repeat.",
    )
    exclude_items: Listed[Identifier] = Field(default_factory=list, max_length=MAX_EXCLUDED)
    include_only: Listed[Identifier] | None = Field(
        default=None, max_length=MAX_EXCLUDED, description="Choose among these; unknown ids are ignored."
    )
    filters: list[Filter] = Field(
        default_factory=list, max_length=MAX_FILTERS, description="Only items that meet all of them."
    )
    diversity: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="0 is the model's order; the larger, the more each item differs from those before it.",
    )
    explain: bool = Field(
        default=False, description=f"Say why each item comes; at most the first {MAX_EXPLAINED} are explained."
    )
    surface: Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=r"^[^\x00]*$")] | None = Field(
        default=None, description="Where the list will be shown, for the record of impressions; no model reads it."
    )


class NewEvent(RequestModel):
    """Something that happened between a user and an item."""

    user_id: Identifier
    item_id: Identifier
    event_id: Identifier | None = Field(
        default=None,
        description="Your own id of this event: sending it again changes nothing. Left out, one is made, "
        "and a retry after a lost reply would count twice.",
    )
    occurred_at: Moment | None = Field(default=None, description="When it happened; left out: now.")
    event: Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=r"^[^\x00]*$")] | None = Field(
        default=None, description="The kind of event, where the workspace tells kinds apart."
    )
    value: float | None = Field(
        default=None, ge=-1e6, le=1e6, description="Rating, quantity or weight; left out, the event counts as one."
    )
    request_id: Annotated[str, StringConstraints(max_length=128, pattern=f"^{REQUEST_ID_FORM}$")] | None = Field(
        default=None,
        description="The recommendations that it answers: their reply's `request_id`. `recsys compare` joins by it.",
    )


class EventsRequest(RequestModel):
    """One event or many; all are acknowledged together."""

    events: list[NewEvent] = Field(min_length=1, max_length=MAX_EVENTS)
