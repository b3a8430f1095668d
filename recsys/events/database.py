"""The sqlite file under the event log: its table, and connections set up for durability and concurrency."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path

from recsys.deadline import check_deadline, lock_wait
from recsys.errors import DataError

LOCK_WAIT_SECONDS = 60.0
_TABLE = """
CREATE TABLE IF NOT EXISTS events (
    log_sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    event_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    item_id TEXT NOT NULL,
    occurred_at INTEGER NOT NULL,
    received_at INTEGER NOT NULL,
    event TEXT,
    value REAL
) STRICT
"""
_INDEXES = {
    "events_by_id": "CREATE UNIQUE INDEX IF NOT EXISTS events_by_id ON events (event_id)",
    "events_by_user": "CREATE INDEX IF NOT EXISTS events_by_user ON events (user_id, log_sequence)",
}


def open_database(path: Path) -> sqlite3.Connection:
    """A connection to the log's file, which is made if it is missing. Commits are on disk when they return.

    Raises:
        DataError: the file is not a log of ours, or is damaged.
        StoreTimeoutError: a time budget is running, and it was spent on waiting for a lock.
    """
    connection = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        wait = lock_wait(LOCK_WAIT_SECONDS)
        connection = sqlite3.connect(path, timeout=wait, isolation_level=None, check_same_thread=False)
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA cache_size = -65536")
        if connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
            _start(connection)
        connection.execute(f"PRAGMA busy_timeout = {int(LOCK_WAIT_SECONDS * 1000)}")
    except (sqlite3.DatabaseError, OSError) as error:
        if connection is not None:
            connection.close()
        check_deadline()
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


def _start(connection: sqlite3.Connection) -> None:
    """Turns a new file into a log. Two processes may start at once: the switch to WAL does not wait for locks."""
    deadline = time.monotonic() + LOCK_WAIT_SECONDS
    connection.execute("BEGIN IMMEDIATE")
    connection.execute(_TABLE)
    make_indexes(connection)
    connection.execute("COMMIT")
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)
