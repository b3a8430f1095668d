"""The sqlite file under the event log: its tables, and connections set up for durability and concurrency."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path

from recsys.errors import DataError
from recsys.events.item_counts import count_anew

_LOCK_WAIT_SECONDS = 60.0
_VERSION = 1
"""Of the tables, in the file's user_version. Version 0 had no `item_events_before` and no `item_counts`."""

_TABLE = """
CREATE TABLE IF NOT EXISTS events (
    log_sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    event_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    item_id TEXT NOT NULL,
    occurred_at INTEGER NOT NULL,
    received_at INTEGER NOT NULL,
    event TEXT,
    value REAL,
    item_events_before INTEGER NOT NULL DEFAULT 0
) STRICT
"""
_COUNTS = """
CREATE TABLE IF NOT EXISTS item_counts (item_id TEXT PRIMARY KEY, events INTEGER NOT NULL) STRICT, WITHOUT ROWID
"""
_COUNTS_FOLLOW_DELETIONS = """
CREATE TRIGGER IF NOT EXISTS item_counts_follow_deletions AFTER DELETE ON events BEGIN
    UPDATE item_counts SET events = events - 1 WHERE item_id = old.item_id;
    DELETE FROM item_counts WHERE item_id = old.item_id AND events <= 0;
END
"""
_INDEXES = {
    "events_by_id": "CREATE UNIQUE INDEX IF NOT EXISTS events_by_id ON events (event_id)",
    "events_by_user": "CREATE INDEX IF NOT EXISTS events_by_user ON events (user_id, log_sequence)",
    "events_by_item": "CREATE INDEX IF NOT EXISTS events_by_item ON events (item_id, occurred_at)",
}


def open_database(path: Path) -> sqlite3.Connection:
    """A connection to the log's file, which is made if it is missing. Commits are on disk when they return.

    A log that an earlier version of this library wrote gets the columns that it lacks.

    Raises:
        DataError: the file is not a log of ours, is damaged, or was written by a later version of this library.
    """
    connection = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(path, timeout=_LOCK_WAIT_SECONDS, isolation_level=None, check_same_thread=False)
        connection.execute(f"PRAGMA busy_timeout = {int(_LOCK_WAIT_SECONDS * 1000)}")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA cache_size = -65536")
        if connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
            _start(connection)
        elif (found := _version(connection)) < _VERSION:
            _bring_up_to_date(connection)
        elif found > _VERSION:
            raise DataError(
                f"The event log {path} has version {found}, this recsys knows {_VERSION}: use the recsys that wrote it."
            )
    except (sqlite3.DatabaseError, OSError) as error:
        if connection is not None:
            connection.close()
        raise DataError(
            f"The event log {path} cannot be opened: {error}. If it is not a file of recsys, move it away; "
            "if it is damaged, restore it or import the data again into a new workspace."
        ) from error
    return connection


def drop_indexes(connection: sqlite3.Connection) -> None:
    """For a large append to an empty log, inside its transaction: indexes are built faster once all rows are there."""
    for name in _INDEXES:
        connection.execute(f"DROP INDEX {name}")


def make_indexes(connection: sqlite3.Connection) -> None:
    """Builds the indexes that are missing."""
    for definition in _INDEXES.values():
        connection.execute(definition)


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _make_tables(connection: sqlite3.Connection) -> None:
    for definition in (_TABLE, _COUNTS, _COUNTS_FOLLOW_DELETIONS):
        connection.execute(definition)
    make_indexes(connection)
    connection.execute(f"PRAGMA user_version = {_VERSION}")


def _bring_up_to_date(connection: sqlite3.Connection) -> None:
    """Counts for every event of an old log what `append` would have counted; whole or not at all."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        if _version(connection) < _VERSION:  # another process may have been faster
            connection.execute("ALTER TABLE events ADD COLUMN item_events_before INTEGER NOT NULL DEFAULT 0")
            _make_tables(connection)
            count_anew(connection)
    except BaseException:
        connection.rollback()
        raise
    connection.commit()


def _start(connection: sqlite3.Connection) -> None:
    """Turns a new file into a log. Two processes may start at once: the switch to WAL does not wait for locks."""
    deadline = time.monotonic() + _LOCK_WAIT_SECONDS
    connection.execute("BEGIN IMMEDIATE")
    _make_tables(connection)
    connection.execute("COMMIT")
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)
