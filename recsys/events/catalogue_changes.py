"""When the catalogue changed, told by positions of the log, so that rows folded before are known to be outdated.

Files and log cannot change in one step. A change is therefore announced before the files are touched, and until it is
noted with its position everybody's rows count as outdated: whoever is killed in between leaves exact reads. It knows no
catalogue; `recsys.jobs.ingest` says who is concerned.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from recsys.deadline import bounded
from recsys.events.asking import asked
from recsys.events.database import LOCK_WAIT_SECONDS, Database
from recsys.events.tables import take_positions
from recsys.failpoints import Failpoint, reached

_ANNOUNCED = 2**63 - 1
"""The position of a change that is being made: after every row."""


class Concerned:
    """Whose rows a change makes wrong; nobody's, as long as nothing is said."""

    def __init__(self) -> None:
        self.everybody = False
        self.user_ids: list[str] = []


class CatalogueChanges:
    """The changes of one workspace's catalogue.

    Args:
        path: the event log's file.
    """

    def __init__(self, path: Path) -> None:
        self._database = Database(path)

    @contextmanager
    def making(self) -> Iterator[Concerned]:
        """Surrounds a change of the catalogue's files; nobody else appends, deletes or takes the lease meanwhile.

        Yields:
            To be told whom the change concerns.
        """
        concerned, interrupted = None, False
        while concerned is None:
            with self._database.writing() as connection:
                if _is_announced(connection):
                    interrupted = True  # nobody knows any longer whom that one concerned
                else:
                    connection.execute("INSERT INTO catalogue_changes VALUES (?, NULL)", [_ANNOUNCED])
            reached(Failpoint.IMPORT_ANNOUNCED)
            with self._database.writing() as connection:
                if _is_announced(connection):  # otherwise somebody has completed it in between
                    concerned = Concerned()
                    yield concerned
                    concerned.everybody |= interrupted
                    reached(Failpoint.IMPORT_CATALOGUE_CHANGED)
                    _note(connection, concerned)

    def complete(self) -> None:
        """Notes a change that was interrupted, as one that concerns everybody. Does nothing when there is none."""
        if not _is_announced(self._database.connection()):
            return
        with self._database.writing() as connection:
            if _is_announced(connection):
                concerned = Concerned()
                concerned.everybody = True
                _note(connection, concerned)

    def felt_by(self, user_ids: Sequence[str], after: int) -> list[tuple[str | None, int]]:
        """Changes after a position that make older rows of these users wrong.

        Returns:
            (user_id, position) each; None for a user means everybody.
        """
        query = (
            "SELECT user_id, log_sequence FROM catalogue_changes WHERE log_sequence > ? "
            "AND (user_id IS NULL OR user_id IN (SELECT value FROM json_each(?)))"
        )
        connection = self._database.connection()
        with bounded(connection, LOCK_WAIT_SECONDS):
            return connection.execute(query, [after, asked(user_ids)]).fetchall()

    def newest(self) -> int:
        """The position of the newest change; 0 where there was none, after all others while one is being made."""
        query = "SELECT coalesce(max(log_sequence), 0) FROM catalogue_changes"
        return int(self._database.connection().execute(query).fetchone()[0])


def _note(connection: sqlite3.Connection, concerned: Concerned) -> None:
    """Takes a position for each user concerned, so that the log can be folded a bounded number of users at a time."""
    connection.execute("DELETE FROM catalogue_changes WHERE log_sequence = ?", [_ANNOUNCED])
    if concerned.everybody:
        connection.execute("DELETE FROM catalogue_changes")
        connection.execute("INSERT INTO catalogue_changes VALUES (?, NULL)", [take_positions(connection)])
    elif concerned.user_ids:
        first = take_positions(connection, len(concerned.user_ids))
        connection.executemany(
            "INSERT OR REPLACE INTO catalogue_changes VALUES (?, ?)", enumerate(concerned.user_ids, first)
        )


def _is_announced(connection: sqlite3.Connection) -> bool:
    query = "SELECT EXISTS (SELECT 1 FROM catalogue_changes WHERE log_sequence = ?)"
    return bool(connection.execute(query, [_ANNOUNCED]).fetchone()[0])
