"""For whom and as of when: the users of a workspace, or those of a file; the moment after the last event.

Users and their events are looked at a block at a time: memory does not grow with them.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from recsys import columns
from recsys.batch.id_files import id_blocks
from recsys.batch.user_list import UserList
from recsys.context.catalogue_files import next_user_ids
from recsys.context.moments import CLOCK_SKEW
from recsys.data.schema import WorkspaceSchema
from recsys.errors import DataError
from recsys.events.catalogue_changes import CatalogueChanges
from recsys.events.log import EventLog
from recsys.events.ordering import ordered
from recsys.workspace import Workspace

_USERS_AT_ONCE = 5_000


@dataclass(frozen=True, slots=True)
class Audience:
    """Whom a batch is for, and as of when.

    Attributes:
        users: each once; sorted, or in the file's order.
        as_of: effective moment, int64 microseconds.
        events_before: how many events of the log lie before it.
        newest_event: the log sequence of the newest of these; 0 when there is none.
        catalogue_position: where profiles changed last, told by a position of the log; 0 where they never did.
        latest: the latest moment at which an event can have happened; None where events have no clock.
        events_ahead: how many of those events lie after it.
        log_position: where the log stood before it was read: whoever is deleted later is known by that.
    """

    users: UserList
    as_of: int
    events_before: int
    newest_event: int
    catalogue_position: int
    latest: int | None
    events_ahead: int
    log_position: int


def audience(
    workspace: Workspace,
    schema: WorkspaceSchema,
    *,
    users_file: Path | None = None,
    as_of: int | None = None,
    now: int | None = None,
) -> Audience:
    """Reads the log once.

    Args:
        workspace: the workspace.
        schema: its schema.
        users_file: only these users (see `id_blocks`); None: everybody that the log or the catalogue knows.
        as_of: effective moment; None: just after the last event.
        now: microseconds since the epoch; None: the clock.

    Raises:
        DataError: the file cannot be used, or the workspace has no event and no moment was given.
    """
    log = EventLog(workspace.event_log)
    position, catalogue_position = log.position(), CatalogueChanges(workspace.event_log).newest()
    latest = (time.time_ns() // 1_000 if now is None else now) + CLOCK_SKEW if schema.clock else None
    last, before, newest_event, ahead = None, 0, 0, 0
    for events in _events(log, position, schema):
        newest = events[columns.EFFECTIVE_AT].max()
        last = max(newest, last or newest)  # type: ignore[type-var]
        counted = events if as_of is None else events.filter(pl.col(columns.EFFECTIVE_AT) < as_of)
        before += counted.height
        newest_event = max(newest_event, int(str(counted[columns.LOG_SEQUENCE].max() or 0)))
        ahead += 0 if latest is None else counted.filter(pl.col(columns.OCCURRED_AT) > latest).height
    if last is None and as_of is None:
        raise DataError(
            f"The event log of workspace '{workspace.name}' is empty, so there is no moment to recommend as of. "
            f"Bring events: recsys data import DIR --workspace {workspace.name}"
        )
    named = _everybody(log, workspace.users_file) if users_file is None else id_blocks(users_file, columns.USER_ID)
    return Audience(
        users=UserList.of(named),
        as_of=as_of if as_of is not None else int(str(last)) + 1,
        events_before=before,
        newest_event=newest_event,
        catalogue_position=catalogue_position,
        latest=latest,
        events_ahead=ahead,
        log_position=position,
    )


def _events(log: EventLog, position: int, schema: WorkspaceSchema) -> Iterator[pl.DataFrame]:
    """All events up to a position in their users' order, those of some users at a time."""
    after: str | None = None
    while user_ids := log.next_users(after, _USERS_AT_ONCE):
        after = user_ids[-1]
        events = log.read(user_ids, upto=position)
        if not events.is_empty():
            yield ordered(events, schema).select(columns.EFFECTIVE_AT, columns.OCCURRED_AT, columns.LOG_SEQUENCE)


def _everybody(log: EventLog, users_file: Path) -> Iterator[list[str]]:
    """Whoever the log or the catalogue knows, sorted."""
    after: str | None = None
    while known := {*log.next_users(after, _USERS_AT_ONCE), *next_user_ids(users_file, after, _USERS_AT_ONCE)}:
        block = sorted(known)[:_USERS_AT_ONCE]
        after = block[-1]
        yield block
