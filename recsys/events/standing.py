"""Whether anything about a user changed since a position of the log, in one statement. It knows no rows."""

from __future__ import annotations

import itertools
import threading
from dataclasses import dataclass
from pathlib import Path

from recsys.deadline import bounded
from recsys.events.database import LOCK_WAIT_SECONDS, Database
from recsys.events.tables import POSITION

_files = itertools.count(1)
_QUERY = (
    f"SELECT ({POSITION}), "
    "EXISTS (SELECT 1 FROM events WHERE user_id = :user AND log_sequence > :since), "
    "EXISTS (SELECT 1 FROM catalogue_changes WHERE log_sequence > :since AND (user_id IS NULL OR user_id = :user)) "
    "OR EXISTS (SELECT 1 FROM removals WHERE log_sequence > :since), "
    "EXISTS (SELECT 1 FROM removals WHERE user_id NOT NULL AND user_id = :user)"
)


@dataclass(frozen=True, slots=True)
class Standing:
    """What happened to a user since a position.

    Attributes:
        position: where the log stands.
        file: which file it is about: another one took the log's place where it differs.
        has_events: newer events of the user's are in the log.
        otherwise: the catalogue changed for the user, or something was taken out of the log, whoever's it was.
        being_deleted: the user's events are gone, and the catalogue may still hold the profile.
    """

    position: int
    file: int
    has_events: bool
    otherwise: bool
    being_deleted: bool

    @property
    def unchanged(self) -> bool:
        """Whether nothing happened."""
        return not (self.has_events or self.otherwise)


class Standings:
    """Looks at a log.

    Args:
        path: the log's file.
    """

    def __init__(self, path: Path) -> None:
        self._database = Database(path)
        self._lock = threading.Lock()
        self._file: tuple[int | None, int] = (None, next(_files))

    def of(self, user_id: str, since: int) -> Standing:
        """How one user stands.

        Raises:
            StoreTimeoutError: a time budget is running, and it was not enough.
        """
        connection = self._database.connection()
        with bounded(connection, LOCK_WAIT_SECONDS):
            asked = {"user": user_id, "since": since}
            position, *found = connection.execute(_QUERY, asked).fetchone()
        has_events, otherwise, being_deleted = map(bool, found)
        return Standing(int(position), self._current_file(), has_events, otherwise, being_deleted)

    def _current_file(self) -> int:
        """A number that no other file had: an inode's may come back with another file once nobody has it open."""
        number = self._database.file_number()
        with self._lock:
            if number != self._file[0]:
                self._file = (number, next(_files))
            return self._file[1]
