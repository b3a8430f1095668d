"""The fence of the embedded online store: whose writes it takes, and up to where the log is folded into it.

It knows one sqlite connection and tokens of the lease (`recsys.events.lease`), nothing of Feast or of rows.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager

from recsys.context.fencing import fenced_off
from recsys.errors import FeatureStoreError
from recsys.failpoints import Failpoint, reached

_TABLES = (
    "CREATE TABLE IF NOT EXISTS recsys_fence (one INTEGER PRIMARY KEY CHECK (one = 1), token INTEGER NOT NULL) STRICT",
    "CREATE TABLE IF NOT EXISTS recsys_folded (version TEXT PRIMARY KEY, position INTEGER NOT NULL) STRICT",
)
_SCRUB_SECONDS = 60.0


def put_up(connection: sqlite3.Connection) -> None:
    """Makes the fence where there is none. Where there is one nothing is written: readers come by here, too."""
    there = connection.execute("SELECT count(*) FROM sqlite_master WHERE name IN ('recsys_fence', 'recsys_folded')")
    if there.fetchone()[0] == len(_TABLES):
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        for table in _TABLES:
            connection.execute(table)
        connection.execute("INSERT OR IGNORE INTO recsys_fence (one, token) VALUES (1, 0)")
    except BaseException:
        connection.rollback()
        raise
    connection.commit()


@contextmanager
def fenced(connection: sqlite3.Connection, token: int) -> Iterator[None]:
    """One write transaction that takes place only if nobody with a larger token was here before.

    Raises:
        FencedOffError: somebody was; nothing was written.
    """
    connection.execute("BEGIN IMMEDIATE")
    try:
        seen = int(connection.execute("SELECT token FROM recsys_fence").fetchone()[0])
        if seen > token:
            raise fenced_off(token, seen)
        if seen < token:
            connection.execute("UPDATE recsys_fence SET token = ?", [token])
        yield
    except BaseException:
        connection.rollback()
        raise
    connection.commit()


def folded_up_to(connection: sqlite3.Connection, version: str) -> int:
    """The log position up to which every event is in its user's online row of that version."""
    row = connection.execute("SELECT position FROM recsys_folded WHERE version = ?", [version]).fetchone()
    return 0 if row is None else int(row[0])


def note_folded(connection: sqlite3.Connection, version: str, position: int) -> None:
    """Inside `fenced`: every event up to this position is in its user's online row of that version."""
    connection.execute(
        "INSERT INTO recsys_folded VALUES (?, ?) "
        "ON CONFLICT (version) DO UPDATE SET position = max(position, excluded.position)",
        [version, position],
    )


def forget_folded(connection: sqlite3.Connection, version: str) -> None:
    """Inside `fenced`: that version has no rows any longer."""
    connection.execute("DELETE FROM recsys_folded WHERE version = ?", [version])


def scrub(connection: sqlite3.Connection, what: str) -> None:
    """Leaves no byte of what was deleted: rewrites the file from its live content and empties the write-ahead log.

    Raises:
        FeatureStoreError: readers kept the write-ahead log busy all the time.
    """
    connection.execute("VACUUM")
    reached(Failpoint.DELETE_ONLINE_REWRITTEN)
    deadline = time.monotonic() + _SCRUB_SECONDS
    while connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]:
        if time.monotonic() > deadline:
            raise FeatureStoreError(f"{what} is being read all the time and cannot be rewritten. Try again later.")
        time.sleep(0.02)
