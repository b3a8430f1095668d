"""The event log, the truth of a workspace: one sqlite row an event, in order of acknowledgement, durable on return.

It knows nothing of what an event means; `ordering` and `fold` do.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import orjson
import polars as pl

from recsys.columns import (
    EVENT,
    EVENT_COUNT,
    EVENT_ID,
    ITEM_EVENTS_BEFORE,
    ITEM_ID,
    LOG_SEQUENCE,
    OCCURRED_AT,
    RECEIVED_AT,
    USER_ID,
    VALUE,
)
from recsys.data.canonical import EVENT_SCHEMA
from recsys.deadline import bounded
from recsys.errors import DataError
from recsys.events.database import LOCK_WAIT_SECONDS, Database, drop_indexes, make_indexes, move_position, position
from recsys.events.item_counts import with_item_events_before
from recsys.events.removals import without_deleted
from recsys.failpoints import Failpoint, reached

LOG_SCHEMA = pl.Schema(
    {
        LOG_SEQUENCE: pl.Int64(),
        EVENT_ID: pl.String(),
        USER_ID: pl.String(),
        ITEM_ID: pl.String(),
        OCCURRED_AT: pl.Int64(),
        RECEIVED_AT: pl.Int64(),
        EVENT: pl.String(),
        VALUE: pl.Float32(),
        ITEM_EVENTS_BEFORE: pl.Int64(),
    }
)

_LARGE = 10_000
_INSERT = (
    "INSERT INTO events (event_id, user_id, item_id, occurred_at, received_at, event, value, item_events_before) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
)


@dataclass(frozen=True, slots=True)
class Appended:
    """What an append did. The new events are first_sequence..last_sequence (none: first = last + 1).

    Attributes:
        first_sequence: sequence of the first new event.
        last_sequence: the log's position after the append; every event handed over lies at or before it.
        accepted: events that are new.
        duplicates: events whose id the log had already, or that came twice; they changed nothing.
        withheld: events that happened before their user was deleted; they were left out.
    """

    first_sequence: int
    last_sequence: int
    accepted: int
    duplicates: int
    withheld: int = 0


class EventLog:
    """One workspace's log in one sqlite file (WAL, synchronous=FULL). For many threads and processes.

    Args:
        path: the file; it and its folder are made when first used.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._database = Database(path)

    def append(self, frame: pl.DataFrame, received_at: int | None = None) -> Appended:
        """Appends events in the frame's order, in one transaction; on return they are on disk.

        An event whose event_id the log has already is left out, so an append can be repeated; so is one that happened
        before its user was deleted.

        Args:
            frame: columns and types of EVENT_SCHEMA; only event and value may be null.
            received_at: microseconds since the epoch; None: now.

        Raises:
            DataError: the frame is not canonical; everything wrong with it is listed.
        """
        _check(frame)
        moment = time.time_ns() // 1000 if received_at is None else received_at
        rows = frame.select(
            EVENT_ID, USER_ID, ITEM_ID, OCCURRED_AT, pl.lit(moment, dtype=pl.Int64).alias(RECEIVED_AT), EVENT, VALUE
        )
        with self._database.writing() as connection:
            before = position(connection)
            allowed = without_deleted(connection, rows)
            new = _new(connection, allowed)
            if before == 0 and new.height >= _LARGE:
                drop_indexes(connection)
            counted = with_item_events_before(connection, new)
            connection.executemany(_INSERT, counted.iter_rows(buffer_size=_LARGE))
            make_indexes(connection)
            reached(Failpoint.APPEND_WRITTEN)
        reached(Failpoint.APPEND_COMMITTED)
        return Appended(
            before + 1, before + new.height, new.height, allowed.height - new.height, frame.height - allowed.height
        )

    def position(self) -> int:
        """Sequence of the newest event; 0 when the log is empty."""
        connection = self._database.connection()
        with bounded(connection, LOCK_WAIT_SECONDS):
            return position(connection)

    def count(self) -> int:
        """Number of events."""
        return int(self._database.connection().execute("SELECT count(*) FROM events").fetchone()[0])

    def read(self, user_ids: Sequence[str] | None = None, upto: int | None = None, after: int = 0) -> pl.DataFrame:
        """Events in order of their sequence.

        Args:
            user_ids: only these users' events; None: everybody's.
            upto: only events with a sequence of at most this.
            after: only events with a greater sequence.

        Returns:
            Columns and types of LOG_SCHEMA.
        """
        conditions, parameters = ["log_sequence > ?"], [after]
        if upto is not None:
            conditions.append("log_sequence <= ?")
            parameters.append(upto)
        arguments: list[object] = list(parameters)
        if user_ids is not None:
            conditions.append("user_id IN (SELECT value FROM json_each(?))")
            arguments.append(orjson.dumps(list(user_ids)).decode())
        query = (
            f"SELECT {', '.join(LOG_SCHEMA.names())} FROM events WHERE {' AND '.join(conditions)} ORDER BY log_sequence"
        )
        connection = self._database.connection()
        with bounded(connection, LOCK_WAIT_SECONDS):
            rows = connection.execute(query, arguments).fetchall()
        return pl.DataFrame(rows, schema=LOG_SCHEMA, orient="row")

    def next_users(self, after: str | None, number: int) -> list[str]:
        """The next user ids in order of their bytes, at most `number`; None begins with the first."""
        condition, arguments = ("", []) if after is None else ("WHERE user_id > ? ", [after])
        query = f"SELECT DISTINCT user_id FROM events {condition}ORDER BY user_id LIMIT ?"
        return [user_id for (user_id,) in self._database.connection().execute(query, [*arguments, number])]

    def newest(self, number: int) -> pl.DataFrame:
        """The newest events, oldest of them first; columns and types of LOG_SCHEMA."""
        query = f"SELECT {', '.join(LOG_SCHEMA.names())} FROM events ORDER BY log_sequence DESC LIMIT ?"
        rows = self._database.connection().execute(query, [number]).fetchall()
        return pl.DataFrame(rows[::-1], schema=LOG_SCHEMA, orient="row")

    def users_after(self, after: int, events: int) -> tuple[list[str], int]:
        """Whom the next events after a position are of.

        Args:
            after: a sequence.
            events: how many events to look at, at most.

        Returns:
            Different user ids, and the sequence up to which they are all.
        """
        end = self.position()
        rows = (
            self._database.connection()
            .execute(
                "SELECT log_sequence, user_id FROM events WHERE log_sequence > ? AND log_sequence <= ? "
                "ORDER BY log_sequence LIMIT ?",
                [after, end, events],
            )
            .fetchall()
        )
        return list(dict.fromkeys(user_id for _, user_id in rows)), rows[-1][0] if len(rows) == events else end

    def users(self, upto: int) -> list[str]:
        """Everybody with an event up to a position."""
        query = "SELECT DISTINCT user_id FROM events WHERE log_sequence <= ?"
        return [user_id for (user_id,) in self._database.connection().execute(query, [upto])]

    def newest_users(self, number: int) -> list[str]:
        """The users whose events were acknowledged last, the latest first."""
        query = "SELECT user_id FROM events GROUP BY user_id ORDER BY max(log_sequence) DESC LIMIT ?"
        return [user_id for (user_id,) in self._database.connection().execute(query, [number])]

    def item_counts(self, upto: int) -> pl.DataFrame:
        """Every item with events up to a position: item_id, event_count (of any kind), received_at of the newest."""
        query = "SELECT item_id, count(*), max(received_at) FROM events WHERE log_sequence <= ? GROUP BY item_id"
        types = {ITEM_ID: pl.String, EVENT_COUNT: pl.Int64, RECEIVED_AT: pl.Int64}
        return pl.DataFrame(self._database.connection().execute(query, [upto]).fetchall(), schema=types, orient="row")

    def items(self) -> list[str]:
        """Every item with an event."""
        return [item_id for (item_id,) in self._database.connection().execute("SELECT item_id FROM item_counts")]

    def move_on_to(self, position: int) -> None:
        """Gives no sequence up to this position to anything: for a log that takes the place of one that ends there."""
        with self._database.writing() as connection:
            move_position(connection, position)

    def alone(self) -> AbstractContextManager[object]:
        """While the block runs nobody else appends, deletes users or takes the lease; it must not append itself."""
        return self._database.writing()

    def close(self) -> None:
        """Closes the calling thread's connection; the next call opens another."""
        self._database.close()


def _new(connection: sqlite3.Connection, rows: pl.DataFrame) -> pl.DataFrame:
    """The rows whose event_id the log lacks. Asked beforehand: an insert that conflicts would use up a sequence."""
    rows = rows.unique(EVENT_ID, keep="first", maintain_order=True)
    asked = orjson.dumps(rows[EVENT_ID].to_list()).decode()
    known = connection.execute(
        "SELECT event_id FROM events WHERE event_id IN (SELECT value FROM json_each(?))", [asked]
    ).fetchall()
    if not known:
        return rows
    return rows.join(pl.DataFrame(known, schema={EVENT_ID: pl.String}, orient="row"), on=EVENT_ID, how="anti")


def _check(frame: pl.DataFrame) -> None:
    problems = [f"the column '{name}' is missing" for name in EVENT_SCHEMA if name not in frame.columns]
    for name, dtype in EVENT_SCHEMA.items():
        if name not in frame.columns:
            continue
        if frame.schema[name] != dtype:
            problems.append(f"'{name}' is {frame.schema[name]}, not {dtype}")
        if name not in (EVENT, VALUE) and frame[name].null_count():
            problems.append(f"'{name}' has {frame[name].null_count()} nulls")
    if problems:
        raise DataError(f"These events cannot be appended to the log: {'; '.join(problems)}.")
