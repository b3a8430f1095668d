"""From a request to the feature row that the model reads: stored, inline, both, or an empty one that says why.

It knows nothing of HTTP and nothing of what the model does with the row.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from recsys.context.batch import FeatureRow
from recsys.context.moments import CLOCK_SKEW, believable
from recsys.context.profile_values import typed_profile
from recsys.context.reasons import EMPTY_CONTEXT, STORE_ERROR, STORE_TIMEOUT, UNKNOWN_USER, Reason
from recsys.data.schema import ColumnType, WorkspaceSchema
from recsys.errors import DataError, StoreTimeoutError
from recsys.events.fold import HISTORY_LENGTH
from recsys.serving.http.problems import InvalidField, InvalidRequestError
from recsys.serving.messages.column_values import complaint
from recsys.serving.messages.requests import InlineContext, InlineEvent, ProfileValue
from recsys.serving.ports import OnlineContexts

_SECOND = 1_000_000
BEFORE_1970 = "This moment lies before 1970; check its unit."
FUTURE = "This moment lies in the future; check the clock and the offset."
_ORDER_ONLY_START = 946_684_800 * _SECOND
"""2000-01-01: where workspaces without a clock count from."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Resolved:
    """A feature row ready for the model.

    Attributes:
        row: the row, inline events and profile merged in.
        stored: whether the feature store knew the user.
        degraded: the reason's short name, None for a full answer.
    """

    row: FeatureRow
    stored: bool
    degraded: Reason | None


def resolve(
    user_id: str | None, inline: InlineContext | None, contexts: OnlineContexts, schema: WorkspaceSchema, now: int
) -> Resolved:
    """Reads what is stored and merges what was sent.

    Args:
        user_id: None for a visitor without an account.
        inline: what the caller knows right now.
        contexts: the feature store's online side; when it fails the answer is degraded, not refused.
        schema: the workspace's schema.
        now: microseconds since the epoch.

    Raises:
        InvalidRequestError: a profile value has no column or the wrong type, or an event lies in the future.
    """
    [found] = resolve_all([(user_id, inline)], contexts, schema, now)
    if isinstance(found, InvalidRequestError):
        raise found
    return found


def resolve_all(
    asked: Sequence[tuple[str | None, InlineContext | None]],
    contexts: OnlineContexts,
    schema: WorkspaceSchema,
    now: int,
) -> list[Resolved | InvalidRequestError]:
    """The same for several (user_id, inline context), with one read of the feature store for all of them.

    Returns:
        One each, in that order: what was resolved, or what is wrong with it, named from its own context on.
    """
    rows = _stored(list(dict.fromkeys(user_id for user_id, _ in asked if user_id is not None)), contexts)
    nobody = FeatureRow(user_id=None)
    found: list[Resolved | InvalidRequestError] = []
    for user_id, inline in asked:
        try:
            found.append(_resolved(nobody if user_id is None else rows[user_id], inline, schema, now))
        except InvalidRequestError as error:
            found.append(error)
    return found


def _resolved(row: FeatureRow, inline: InlineContext | None, schema: WorkspaceSchema, now: int) -> Resolved:
    if schema.clock and row.degraded is None:
        row = believable(row, now + CLOCK_SKEW)
    degraded = row.degraded
    if inline is not None:
        row = _with_inline(row, inline, schema, now)
        if degraded == UNKNOWN_USER and row.history_items:
            degraded = None
    if degraded is None and not row.present and not row.history_items:
        degraded = EMPTY_CONTEXT
    if degraded != row.degraded:
        row = replace(row, degraded=degraded)
    return Resolved(row=row, stored=row.present, degraded=degraded)


def microseconds(moment: datetime) -> int:
    """Microseconds since the epoch, exact."""
    whole = int(moment.replace(microsecond=0).timestamp())
    return whole * _SECOND + moment.microsecond


def _stored(user_ids: Sequence[str], contexts: OnlineContexts) -> dict[str, FeatureRow]:
    """Rows by user; when the store fails, empty ones that say so."""
    reason: Reason = STORE_ERROR
    try:
        return dict(zip(user_ids, contexts.online(user_ids), strict=True)) if user_ids else {}
    except StoreTimeoutError as error:
        reason = STORE_TIMEOUT
        _log.warning("feature store too slow, answering without it: %s", error)
    except Exception as error:  # whatever ails the store, the user gets an answer
        _log.warning("feature store failed, answering without it: %s: %r", type(error).__name__, str(error))
    return {user_id: FeatureRow(user_id=user_id, degraded=reason) for user_id in user_ids}


def _with_inline(row: FeatureRow, inline: InlineContext, schema: WorkspaceSchema, now: int) -> FeatureRow:
    profile = {**row.profile, **_profile(inline.profile, schema)}
    events = _timed(inline.history, row, schema, now)
    if not schema.repeats:
        events = _first_touches(events, {*row.history_items, *row.seen_items})
    items, times = [item for item, _ in events], [at for _, at in events]
    all_times = (*row.history_times, *times)
    seen = _touched(row, events)
    return replace(
        row,
        history_items=(*row.history_items, *items)[-HISTORY_LENGTH:],
        history_times=all_times[-HISTORY_LENGTH:],
        history_values=(*row.history_values, *[1.0] * len(items))[-HISTORY_LENGTH:],
        seen_items=tuple(seen),
        seen_counts=tuple(count for count, _ in seen.values()),
        seen_last=tuple(last for _, last in seen.values()),
        event_count=row.event_count + len(items),
        first_event_at=row.first_event_at or (times[0] if times else 0),
        last_event_at=max(row.last_event_at, *times) if times else row.last_event_at,
        profile=profile,
        inline=True,
        stamp=None,
    )


def _touched(row: FeatureRow, events: Sequence[tuple[str, int]]) -> dict[str, tuple[int, int]]:
    """Every item touched, by first touch: how many positive events it has, and when the last of them was."""
    nothing = (0,) * len(row.seen_items)
    stored = zip(row.seen_counts or nothing, row.seen_last or nothing, strict=True)
    seen = dict(zip(row.seen_items, stored, strict=True))
    for item, at in events:
        seen[item] = (seen.get(item, (0, 0))[0] + 1, at)
    return seen


def _first_touches(events: Sequence[tuple[str, int]], known: set[str]) -> list[tuple[str, int]]:
    first: dict[str, int] = {}
    for item, at in events:
        if item not in known:
            first.setdefault(item, at)
    return list(first.items())


def _timed(history: Sequence[InlineEvent], row: FeatureRow, schema: WorkspaceSchema, now: int) -> list[tuple[str, int]]:
    """(item, time) in order, never before what is stored. Without a clock the order counts: one second apart."""
    if not schema.clock:
        start = row.last_event_at or _ORDER_ONLY_START
        return [(event.item_id, start + (n + 1) * _SECOND) for n, event in enumerate(history)]
    times = [now if event.occurred_at is None else microseconds(event.occurred_at) for event in history]
    ahead = [
        InvalidField(("context", "history", n, "occurred_at"), FUTURE)
        for n, at in enumerate(times)
        if at > now + CLOCK_SKEW
    ]
    if ahead:
        raise InvalidRequestError(*ahead)
    times = [max(at, row.last_event_at) for at in times]
    return sorted(((event.item_id, at) for event, at in zip(history, times, strict=True)), key=lambda pair: pair[1])


def _profile(sent: dict[str, ProfileValue], schema: WorkspaceSchema) -> dict[str, object]:
    wrong = [
        InvalidField(("context", "profile", name), detail)
        for name, value in sent.items()
        if (detail := _complaint(value, schema.user_columns.get(name), schema)) is not None
    ]
    if wrong:
        raise InvalidRequestError(*wrong)
    try:
        typed = typed_profile(sent, schema.user_columns)
    except DataError as error:
        raise InvalidRequestError(InvalidField(("context", "profile"), str(error))) from error
    return {name: typed[name] for name in sent}


def _complaint(value: ProfileValue, kind: ColumnType | None, schema: WorkspaceSchema) -> str | None:
    if kind is None:
        known = ", ".join(schema.user_columns) or "none"
        return f"There is no such user column; this workspace has: {known}."
    return complaint(value, kind)
