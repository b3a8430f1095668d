"""The sqlite file under the event log: its tables, and connections set up for durability and concurrency."""

from __future__ import annotations

import os
import secrets
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from recsys.deadline import check_deadline, lock_wait
from recsys.errors import DataError
from recsys.events.item_counts import count_anew

LOCK_WAIT_SECONDS = 60.0
_LAYOUT = 3
"""Of the tables, in the file's user_version. Earlier ones lacked `item_events_before` and `item_counts`, or lease,
removals and salt, or both."""

_TABLES = (
    """
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
    """,
    "CREATE TABLE IF NOT EXISTS item_counts (item_id TEXT PRIMARY KEY, events INTEGER NOT NULL) STRICT, WITHOUT ROWID",
    """
    CREATE TRIGGER IF NOT EXISTS item_counts_follow_deletions AFTER DELETE ON events BEGIN
        UPDATE item_counts SET events = events - 1 WHERE item_id = old.item_id;
        DELETE FROM item_counts WHERE item_id = old.item_id AND events <= 0;
    END
    """,
    """
    CREATE TABLE IF NOT EXISTS lease (
        one INTEGER PRIMARY KEY CHECK (one = 1),
        token INTEGER NOT NULL,
        holder TEXT NOT NULL,
        purpose TEXT NOT NULL,
        expires_at INTEGER NOT NULL
    ) STRICT
    """,
    """
    CREATE TABLE IF NOT EXISTS removals (
        log_sequence INTEGER PRIMARY KEY,
        digest TEXT UNIQUE,
        user_id TEXT,
        removed_at INTEGER NOT NULL,
        state TEXT NOT NULL
    ) STRICT
    """,
    "CREATE INDEX IF NOT EXISTS removals_felt ON removals (log_sequence) WHERE digest IS NULL OR user_id NOT NULL",
    "CREATE TABLE IF NOT EXISTS salt (one INTEGER PRIMARY KEY CHECK (one = 1), value BLOB NOT NULL) STRICT",
)
_INDEXES = {
    "events_by_id": "CREATE UNIQUE INDEX IF NOT EXISTS events_by_id ON events (event_id)",
    "events_by_user": "CREATE INDEX IF NOT EXISTS events_by_user ON events (user_id, log_sequence)",
    "events_by_item": "CREATE INDEX IF NOT EXISTS events_by_item ON events (item_id, occurred_at)",
}


class Database:
    """One log's file for many threads and processes: a connection a thread, and its transactions.

    A log that comes from a backup takes the file's place while others have it open: they go over to it.

    Args:
        path: the file; it and its folder are made when first used.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._local = threading.local()

    def connection(self) -> sqlite3.Connection:
        """The calling thread's connection, opened anew when the file is another one by now.

        Raises:
            DataError: the file is gone, or cannot be opened (`open_database`).
        """
        existing: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if existing is not None and self._is_current():
            return existing
        number = _file_number(self.path)
        if number is None and existing is not None:
            raise DataError(f"The event log {self.path} was there and is gone. If it is being restored, try again.")
        opened = open_database(self.path)
        if number is None:  # it was made just now
            number = _file_number(self.path)
        self._local.connection, self._local.opened = opened, (os.getpid(), number)
        return opened

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """A transaction that shuts out every other writer of the file until it is committed at the end."""
        connection = self._begun()
        try:
            yield connection
        except BaseException:
            connection.rollback()
            raise
        connection.commit()

    def _begun(self) -> sqlite3.Connection:
        """A write transaction on the file that is in place: while it was waited for, another may have taken it."""
        while True:
            connection = self.connection()
            connection.execute("BEGIN IMMEDIATE")
            if self._is_current():
                return connection
            connection.rollback()

    def _is_current(self) -> bool:
        return bool(self._local.opened == (os.getpid(), _file_number(self.path)))

    def close(self) -> None:
        """Closes the calling thread's connection; the next call opens another."""
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is not None:
            connection.close()
            self._local.connection = None


def open_database(path: Path) -> sqlite3.Connection:
    """A connection to the log's file, which is made if it is missing. Commits are on disk when they return.

    A log that an earlier version of this library wrote gets the columns that it lacks.

    Raises:
        DataError: the file is not a log of ours, is damaged, or was written by a later version of this library.
        StoreTimeoutError: a time budget is running, and it was spent on waiting for a lock.
    """
    connection = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        wait = lock_wait(LOCK_WAIT_SECONDS)
        connection = sqlite3.connect(path, timeout=wait, isolation_level=None, check_same_thread=False)
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA secure_delete = ON")
        connection.execute("PRAGMA cache_size = -65536")
        if (found := _layout(connection)) > _LAYOUT:
            raise DataError(
                f"The event log {path} has version {found}, this recsys knows {_LAYOUT}: use the recsys that wrote it."
            )
        if found < _LAYOUT:
            _start(connection)
        if connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
            _switch_to_wal(connection)
        connection.execute(f"PRAGMA busy_timeout = {int(LOCK_WAIT_SECONDS * 1000)}")
    except DataError:
        if connection is not None:
            connection.close()
        raise
    except (sqlite3.DatabaseError, OSError) as error:
        if connection is not None:
            connection.close()
        check_deadline()
        raise DataError(
            f"The event log {path} cannot be opened: {error}. If it is not a file of recsys, move it away; "
            "if it is damaged, restore it or import the data again into a new workspace."
        ) from error
    return connection


def _file_number(path: Path) -> int | None:
    try:
        return path.stat().st_ino
    except OSError:  # missing, or not to be reached: opening it tells why
        return None


def drop_indexes(connection: sqlite3.Connection) -> None:
    """For a large append to an empty log, inside its transaction: indexes are built faster once all rows are there."""
    for name in _INDEXES:
        connection.execute(f"DROP INDEX {name}")


def make_indexes(connection: sqlite3.Connection) -> None:
    """Builds the indexes that are missing."""
    for definition in _INDEXES.values():
        connection.execute(definition)


def position(connection: sqlite3.Connection) -> int:
    """The log's position. It outlives the deletion of the newest events, unlike max(log_sequence)."""
    query = "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'events'"
    return int(connection.execute(query).fetchone()[0])


def move_position(connection: sqlite3.Connection, to: int) -> None:
    """Inside a transaction: the log's position is this at least."""
    query = "UPDATE sqlite_sequence SET seq = max(seq, ?) WHERE name = 'events'"
    if connection.execute(query, [to]).rowcount == 0:
        connection.execute("INSERT INTO sqlite_sequence VALUES ('events', ?)", [to])


def _layout(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _start(connection: sqlite3.Connection) -> None:
    """Turns a new file into a log, and a log of an earlier layout into one of this; whole or not at all."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        if _layout(connection) < _LAYOUT:  # another process may have been faster
            uncounted = _lacks_counts(connection)
            if uncounted:
                connection.execute("ALTER TABLE events ADD COLUMN item_events_before INTEGER NOT NULL DEFAULT 0")
            for table in _TABLES:
                connection.execute(table)
            make_indexes(connection)
            if uncounted:
                count_anew(connection)
            connection.execute("INSERT OR IGNORE INTO salt VALUES (1, ?)", [secrets.token_bytes(32)])
            connection.execute(f"PRAGMA user_version = {_LAYOUT}")
    except BaseException:
        connection.rollback()
        raise
    connection.commit()


def _lacks_counts(connection: sqlite3.Connection) -> bool:
    """Whether there are events of a layout that did not count what came before each."""
    columns = [column[1] for column in connection.execute("PRAGMA table_info(events)")]
    return bool(columns) and "item_events_before" not in columns


def _switch_to_wal(connection: sqlite3.Connection) -> None:
    """Two processes may start at once: the switch to WAL does not wait for locks."""
    deadline = time.monotonic() + LOCK_WAIT_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)
