"""The event log, the truth of a workspace: one sqlite row an event, in order of acknowledgement, durable on return.

It knows nothing of what an event means; `ordering` and `fold` do.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path

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
from recsys.deadline import bounded
from recsys.events.appending import Appended, append_rows, received
from recsys.events.asking import asked
from recsys.events.database import LOCK_WAIT_SECONDS, Database
from recsys.events.one_user import OwnEvent
from recsys.events.tables import move_position, position
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


class EventLog:
    """One workspace's log in one sqlite file (synchronous=FULL). For many threads and processes.

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
            frame: columns and types of EVENT_SCHEMA, only event and value may be null; also OPTIONAL_SCHEMA.
            received_at: microseconds since the epoch; None: now.

        Raises:
            DataError: the frame is not canonical; everything wrong with it is listed.
        """
        rows = received(frame, time.time_ns() // 1000 if received_at is None else received_at)
        with self._database.writing() as connection:
            appended = append_rows(connection, rows)
            reached(Failpoint.APPEND_WRITTEN)
        reached(Failpoint.APPEND_COMMITTED)
        return appended

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
            arguments.append(asked(user_ids))
        query = (
            f"SELECT {', '.join(LOG_SCHEMA.names())} FROM events WHERE {' AND '.join(conditions)} ORDER BY log_sequence"
        )
        connection = self._database.connection()
        with bounded(connection, LOCK_WAIT_SECONDS):
            rows = connection.execute(query, arguments).fetchall()
        return pl.DataFrame(rows, schema=LOG_SCHEMA, orient="row")

    def newest_of(self, user_ids: Sequence[str], after: int) -> dict[str, int]:
        """The sequence of each of these users' newest event, where it is greater than `after`."""
        connection = self._database.connection()
        query = (
            "SELECT user_id, max(log_sequence) FROM events WHERE log_sequence > ? "
            "AND user_id IN (SELECT value FROM json_each(?)) GROUP BY user_id"
        )
        with bounded(connection, LOCK_WAIT_SECONDS):
            return dict(connection.execute(query, [after, asked(user_ids)]).fetchall())

    def own_events(self, user_id: str) -> list[OwnEvent]:
        """One user's events, as `fold_user` takes them."""
        query = (
            "SELECT log_sequence, item_id, occurred_at, event, value, item_events_before FROM events WHERE user_id = ?"
        )
        connection = self._database.connection()
        with bounded(connection, LOCK_WAIT_SECONDS):
            return [OwnEvent(*own) for own in connection.execute(query, [user_id])]

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
        """Whose rows the next events and changes of the catalogue after a position concern, where these name users.

        Args:
            after: a sequence.
            events: how many events and changes to look at, at most.

        Returns:
            Different user ids, and the sequence up to which they are all.
        """
        end = self.position()
        rows = (
            self._database.connection()
            .execute(
                "SELECT log_sequence, user_id FROM events WHERE log_sequence > :after AND log_sequence <= :end "
                "UNION ALL SELECT log_sequence, user_id FROM catalogue_changes WHERE log_sequence > :after "
                "AND log_sequence <= :end AND user_id NOT NULL ORDER BY log_sequence LIMIT :events",
                {"after": after, "end": end, "events": events},
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
