"""What a deletion writes into the log: it takes users' events out, and notes by id or by hash alone who they were.

It knows one connection inside a transaction; when that begins and ends is `removals`' business.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Mapping

from recsys.events.tables import take_positions
from recsys.events.tombstones import digest_of, salt_of, tombstones


def remove(connection: sqlite3.Connection, moments: Mapping[str, int], nameless: Collection[str] = ()) -> int:
    """Removes users' events and notes since when they are deleted.

    Args:
        connection: to the log's file.
        moments: since when each of them is, microseconds.
        nameless: see `Removals.remove_users`.

    Returns:
        How many events went.
    """
    salt, removed = salt_of(connection), 0
    for user_id, moment in moments.items():
        digest = digest_of(salt, user_id)
        events = connection.execute("DELETE FROM events WHERE user_id = ?", [user_id]).rowcount
        changes = connection.execute("DELETE FROM catalogue_changes WHERE user_id = ?", [user_id]).rowcount
        unknown = user_id in nameless and not events and not changes and not _is_incomplete(connection, digest)
        connection.execute(
            "INSERT OR REPLACE INTO removals VALUES (?, ?, ?, ?, ?)",
            [
                take_positions(connection),
                digest,
                None if unknown else user_id,
                moment,
                "done" if unknown else "cleaning",
            ],
        )
        removed += events
    return removed


def _is_incomplete(connection: sqlite3.Connection, digest: str) -> bool:
    """Whether an earlier deletion of that user is not complete, to the last byte."""
    query = "SELECT EXISTS (SELECT 1 FROM removals WHERE digest = ? AND state <> 'done')"
    return bool(connection.execute(query, [digest]).fetchone()[0])


def take_over_unknown(connection: sqlite3.Connection, theirs: Mapping[str, int]) -> None:
    """Keeps deletions that are newer than this log's, of users of whom it holds nothing."""
    mine = tombstones(connection)
    connection.executemany(
        "INSERT OR REPLACE INTO removals VALUES (?, ?, NULL, ?, 'done')",
        [
            (take_positions(connection), digest, moment)
            for digest, moment in theirs.items()
            if mine.get(digest, 0) < moment
        ],
    )
