"""What was taken out of the event log for good: a user's events on request, everybody's old ones by retention.

Each removal takes a position of its own in the log, so positions never go back and rows folded before it can be told
from rows folded after it. Of a deleted user a salted SHA-256 stays, so that importing an old file again does not bring
the user back. It knows nothing of feature stores and files, which `recsys.jobs` cleans.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from pathlib import Path

from recsys.deadline import bounded
from recsys.events.asking import asked
from recsys.events.database import LOCK_WAIT_SECONDS, Database
from recsys.events.removing import remove, take_over_unknown
from recsys.events.tables import take_positions
from recsys.events.tombstones import deleted_after, deleted_at, salt_of, tombstones
from recsys.failpoints import Failpoint, reached


class Removals:
    """The removals of one log.

    Args:
        path: the event log's file.
    """

    def __init__(self, path: Path) -> None:
        self._database = Database(path)

    def remove_users(self, user_ids: Sequence[str], nameless: Collection[str] = ()) -> int:
        """Removes these users' events and notes what is left to clean, in one transaction.

        From here on the log does not know them: no read, no training, no export finds them.

        Args:
            user_ids: who goes.
            nameless: those of them of whom nobody needs to be reminded after an interruption. Where the log holds
                nothing of one either, the deletion is noted without the id: then there is nothing to scrub.

        Returns:
            How many events went.
        """
        with self._database.writing() as connection:
            return remove(connection, dict.fromkeys(user_ids, time.time_ns() // 1000), nameless)

    def prune(self, before: int, keep_last: int) -> int:
        """Removes events that happened before a moment, but each user's newest.

        Args:
            before: microseconds since the epoch.
            keep_last: events a user that stay whatever their age, by the order in which they happened.

        Returns:
            How many events went; 0 leaves the log as it was.
        """
        with self._database.writing() as connection:
            removed = connection.execute(
                "DELETE FROM events WHERE log_sequence IN (SELECT log_sequence FROM (SELECT log_sequence, occurred_at, "
                "row_number() OVER (PARTITION BY user_id ORDER BY occurred_at DESC, log_sequence DESC) AS age "
                "FROM events) WHERE occurred_at < ? AND age > ?)",
                [before, keep_last],
            ).rowcount
            if removed:
                connection.execute("DELETE FROM removals WHERE digest IS NULL AND state = 'done'")
                connection.execute(
                    "INSERT INTO removals VALUES (?, NULL, NULL, ?, 'scrubbing')",
                    [take_positions(connection), time.time_ns() // 1000],
                )
        return removed

    def being_deleted(self) -> list[str]:
        """Users whose events are gone and whose traces elsewhere may not be."""
        query = "SELECT user_id FROM removals WHERE user_id NOT NULL AND state = 'cleaning'"
        rows = self._database.connection().execute(query).fetchall()
        return [user_id for (user_id,) in rows]

    def are_done(self) -> bool:
        """Whether every removal is complete, to the last byte."""
        query = "SELECT NOT EXISTS (SELECT 1 FROM removals WHERE state <> 'done')"
        return bool(self._database.connection().execute(query).fetchone()[0])

    def pruned_at(self) -> int | None:
        """The position of a pruning whose traces elsewhere may not be gone; None when there is none."""
        query = "SELECT max(log_sequence) FROM removals WHERE digest IS NULL AND state <> 'done'"
        found = self._database.connection().execute(query).fetchone()[0]
        return None if found is None else int(found)

    def last_pruned_at(self) -> int | None:
        """The position of the newest pruning, complete or not; None when nothing was ever pruned."""
        found = self._database.connection().execute("SELECT max(log_sequence) FROM removals WHERE digest IS NULL")
        position = found.fetchone()[0]
        return None if position is None else int(position)

    def forget_names(self, user_ids: Sequence[str]) -> None:
        """Forgets the ids of users whose traces elsewhere are gone; only their salted hash stays."""
        with self._database.writing() as connection:
            connection.executemany(
                "UPDATE removals SET user_id = NULL, state = 'scrubbing' WHERE state = 'cleaning' AND user_id = ?",
                [(user_id,) for user_id in user_ids],
            )

    def scrub(self) -> None:
        """Leaves no byte of what was removed in the log's files, and notes that this is done; done before, it is quick.

        Raises:
            DataError: readers kept the write-ahead log busy all the time; the removal is completed by the next one.
        """
        if self.are_done():
            return
        self._database.rewrite()
        reached(Failpoint.DELETE_LOG_REWRITTEN)
        self._database.empty_write_ahead_log()
        reached(Failpoint.DELETE_LOG_CLEAN)
        with self._database.writing() as connection:
            connection.execute("UPDATE removals SET state = 'done' WHERE state = 'scrubbing'")

    def felt_by(self, user_ids: Sequence[str], after: int) -> list[tuple[str | None, int]]:
        """Removals after a position that make older rows of these users wrong.

        Returns:
            (user_id, position) each; None for a user means everybody.
        """
        query = (
            "SELECT user_id, log_sequence FROM removals WHERE log_sequence > ? "
            "AND (digest IS NULL OR user_id NOT NULL) "
            "AND (user_id IS NULL OR user_id IN (SELECT value FROM json_each(?)))"
        )
        connection = self._database.connection()
        with bounded(connection, LOCK_WAIT_SECONDS):
            return connection.execute(query, [after, asked(user_ids)]).fetchall()

    def deleted(self, user_ids: Sequence[str]) -> dict[str, int]:
        """When each of these users was deleted, microseconds; users who never were are left out."""
        return deleted_at(self._database.connection(), user_ids)

    def deleted_after(self, user_ids: Sequence[str], position: int) -> list[str]:
        """Those of these users who were deleted after a position of the log, also when they have come back since."""
        return deleted_after(self._database.connection(), user_ids, position)

    def newest(self) -> int:
        """The position of the newest removal; 0 when there was none."""
        query = "SELECT coalesce(max(log_sequence), 0) FROM removals"
        return int(self._database.connection().execute(query).fetchone()[0])

    def pruned_after(self, position: int) -> bool:
        """Whether old events of everybody were taken out after a position."""
        query = "SELECT EXISTS (SELECT 1 FROM removals WHERE digest IS NULL AND log_sequence > ?)"
        return bool(self._database.connection().execute(query, [position]).fetchone()[0])

    def take_over(self, other: Removals, user_ids: Sequence[str]) -> list[str]:
        """Deletes from this log whom another log has deleted, as of then: for a log that comes from a backup.

        Where the other log is of another origin, with a salt of its own, deletions of users of whom nothing came with
        the backup cannot be taken over: nobody knows their ids.

        Args:
            other: the removals of the log that this one replaces.
            user_ids: everybody of whom anything came with the backup.

        Returns:
            Those of them who are deleted by it.
        """
        there = other._database.connection()
        with self._database.writing() as connection:
            newer = {
                user_id: moment
                for user_id, moment in deleted_at(there, user_ids).items()
                if deleted_at(connection, [user_id]).get(user_id, 0) < moment
            }
            remove(connection, newer)
            if salt_of(connection) == salt_of(there):
                take_over_unknown(connection, tombstones(there))
        return list(newer)

    def close(self) -> None:
        """Closes the calling thread's connection; the next call opens another."""
        self._database.close()
