"""What an append writes: canonical events that the log lacks, without those of before their users' deletion.

It knows one connection inside a transaction; when that begins and ends is `log`'s business.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

import polars as pl

from recsys.columns import EVENT, EVENT_ID, ITEM_ID, OCCURRED_AT, RECEIVED_AT, REQUEST_ID, USER_ID, VALUE
from recsys.data.canonical import EVENT_SCHEMA, OPTIONAL_SCHEMA
from recsys.data.ids import HOLDS_NUL, NUL
from recsys.errors import DataError
from recsys.events.asking import asked
from recsys.events.item_counts import with_item_events_before
from recsys.events.tables import drop_indexes, make_indexes, position
from recsys.events.tombstones import without_deleted

_LARGE = 10_000
_CONTENT = (EVENT_ID, USER_ID, ITEM_ID, EVENT, VALUE, REQUEST_ID)
"""What an event says. Its time is no part: one that was sent without is given another each time it is sent."""
_INSERT = (
    "INSERT INTO events (event_id, user_id, item_id, occurred_at, received_at, event, value, request_id, "
    "item_events_before) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
)


@dataclass(frozen=True, slots=True)
class Appended:
    """What an append did. The new events are first_sequence..last_sequence (none: first = last + 1).

    Attributes:
        first_sequence: sequence of the first new event.
        last_sequence: the log's position after the append; every event handed over lies at or before it.
        accepted: events that are new.
        duplicates: events whose id the log had already, or that came twice; they changed nothing.
        conflicts: how many of those say something else than the first event with their id; that one stays.
        withheld: events that happened before their user was deleted; they were left out.
    """

    first_sequence: int
    last_sequence: int
    accepted: int
    duplicates: int
    withheld: int = 0
    conflicts: int = 0


def received(frame: pl.DataFrame, at: int) -> pl.DataFrame:
    """Canonical events with the moment at which they were received.

    Args:
        frame: columns and types of EVENT_SCHEMA, only event and value may be null; with OPTIONAL_SCHEMA's or without.
        at: microseconds since the epoch.

    Raises:
        DataError: the frame is not canonical; everything wrong with it is listed.
    """
    _check(frame)
    requests = pl.col(REQUEST_ID) if REQUEST_ID in frame.columns else pl.lit(None, dtype=pl.String).alias(REQUEST_ID)
    now = pl.lit(at, dtype=pl.Int64).alias(RECEIVED_AT)
    return frame.select(EVENT_ID, USER_ID, ITEM_ID, OCCURRED_AT, now, EVENT, VALUE, requests)


def append_rows(connection: sqlite3.Connection, rows: pl.DataFrame) -> Appended:
    """Inside a write transaction: the rows that are new and allowed, in their order, at the log's end.

    Args:
        connection: to the log's file.
        rows: what `received` returns.
    """
    before = position(connection)
    allowed = without_deleted(connection, rows)
    new, conflicts = _new(connection, allowed)
    if before == 0 and new.height >= _LARGE:
        drop_indexes(connection)
    counted = with_item_events_before(connection, new)
    connection.executemany(_INSERT, counted.iter_rows(buffer_size=_LARGE))
    make_indexes(connection)
    return Appended(
        first_sequence=before + 1,
        last_sequence=before + new.height,
        accepted=new.height,
        duplicates=allowed.height - new.height,
        withheld=rows.height - allowed.height,
        conflicts=conflicts,
    )


def _new(connection: sqlite3.Connection, rows: pl.DataFrame) -> tuple[pl.DataFrame, int]:
    """The rows whose event_id the log lacks, and how many of the others contradict the first event with their id.

    Asked beforehand: an insert that conflicts would use up a sequence.
    """
    first = rows.unique(EVENT_ID, keep="first", maintain_order=True)
    found = connection.execute(
        f"SELECT {', '.join(_CONTENT)} FROM events WHERE event_id IN (SELECT value FROM json_each(?))",
        [asked(first[EVENT_ID])],
    ).fetchall()
    if not found and first.height == rows.height:
        return rows, 0
    known = pl.DataFrame(found, schema={name: rows.schema[name] for name in _CONTENT}, orient="row")
    said = pl.concat([known, first.select(_CONTENT).join(known, on=EVENT_ID, how="anti")])
    same = rows.join(said, on=_CONTENT, how="semi", nulls_equal=True).height
    return first.join(known, on=EVENT_ID, how="anti", maintain_order="left"), rows.height - same


def _check(frame: pl.DataFrame) -> None:
    problems = [f"the column '{name}' is missing" for name in EVENT_SCHEMA if name not in frame.columns]
    for name, dtype in (*EVENT_SCHEMA.items(), *OPTIONAL_SCHEMA.items()):
        if name not in frame.columns:
            continue
        if frame.schema[name] != dtype:
            problems.append(f"'{name}' is {frame.schema[name]}, not {dtype}")
        if name not in (EVENT, VALUE, REQUEST_ID) and frame[name].null_count():
            problems.append(f"'{name}' has {frame[name].null_count()} nulls")
        if name in (EVENT_ID, USER_ID, ITEM_ID, REQUEST_ID) and _hold_nul(frame[name]):
            problems.append(f"'{name}' {HOLDS_NUL}")
    if problems:
        raise DataError(f"These events cannot be appended to the log: {'; '.join(problems)}.")


def _hold_nul(ids: pl.Series) -> bool:
    return ids.dtype == pl.String and bool(ids.str.contains(NUL, literal=True).any())
