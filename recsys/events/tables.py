"""The tables of the event log's file and their indexes, made for a new log and added to one of an earlier version."""

from __future__ import annotations

import secrets
import sqlite3

from recsys.events.item_counts import count_anew

LAYOUT = 5
"""Of the tables, in the file's user_version. Earlier ones lacked `item_events_before` and `item_counts`, or lease,
removals and salt, or both, or the changes of the catalogue, or the request that an event answers."""

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
        item_events_before INTEGER NOT NULL DEFAULT 0,
        request_id TEXT
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
    "CREATE TABLE IF NOT EXISTS catalogue_changes (log_sequence INTEGER NOT NULL, user_id TEXT UNIQUE) STRICT",
    "CREATE INDEX IF NOT EXISTS catalogue_changes_felt ON catalogue_changes (log_sequence)",
    "CREATE TABLE IF NOT EXISTS salt (one INTEGER PRIMARY KEY CHECK (one = 1), value BLOB NOT NULL) STRICT",
)
POSITION = "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'events'"
"""The query for the log's position."""

_INDEXES = {
    "events_by_id": "CREATE UNIQUE INDEX IF NOT EXISTS events_by_id ON events (event_id)",
    "events_by_user": "CREATE INDEX IF NOT EXISTS events_by_user ON events (user_id, log_sequence)",
    "events_by_item": "CREATE INDEX IF NOT EXISTS events_by_item ON events (item_id, occurred_at)",
}


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
    return int(connection.execute(POSITION).fetchone()[0])


def move_position(connection: sqlite3.Connection, to: int) -> None:
    """Inside a transaction: the log's position is this at least."""
    query = "UPDATE sqlite_sequence SET seq = max(seq, ?) WHERE name = 'events'"
    if connection.execute(query, [to]).rowcount == 0:
        connection.execute("INSERT INTO sqlite_sequence VALUES ('events', ?)", [to])


def take_positions(connection: sqlite3.Connection, number: int = 1) -> int:
    """Takes the log's next positions for something that is no event.

    Returns:
        The first of them.
    """
    first = position(connection) + 1
    move_position(connection, first + number - 1)
    return first


def layout(connection: sqlite3.Connection) -> int:
    """Of the file as it is; 0 for a new one."""
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def make_tables(connection: sqlite3.Connection) -> None:
    """Turns a new file into a log, and a log of an earlier layout into one of this; whole or not at all."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        if layout(connection) < LAYOUT:  # another process may have been faster
            uncounted = _lacks(connection, "item_events_before")
            if uncounted:
                connection.execute("ALTER TABLE events ADD COLUMN item_events_before INTEGER NOT NULL DEFAULT 0")
            if _lacks(connection, "request_id"):
                connection.execute("ALTER TABLE events ADD COLUMN request_id TEXT")
            for table in _TABLES:
                connection.execute(table)
            make_indexes(connection)
            if uncounted:
                count_anew(connection)
            connection.execute("INSERT OR IGNORE INTO salt VALUES (1, ?)", [secrets.token_bytes(32)])
            connection.execute(f"PRAGMA user_version = {LAYOUT}")
    except BaseException:
        connection.rollback()
        raise
    connection.commit()


def _lacks(connection: sqlite3.Connection, column: str) -> bool:
    """Whether there are events of a layout that did not have this column."""
    columns = [described[1] for described in connection.execute("PRAGMA table_info(events)")]
    return bool(columns) and column not in columns
