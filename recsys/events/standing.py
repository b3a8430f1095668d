"""Whether anything about a user changed since a position of the log, in one statement. It knows no rows."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from recsys.deadline import bounded
from recsys.events.database import LOCK_WAIT_SECONDS, Database
from recsys.events.tables import POSITION

_QUERY = (
    f"SELECT ({POSITION}), "
    "EXISTS (SELECT 1 FROM events WHERE user_id = :user AND log_sequence > :since), "
    "EXISTS (SELECT 1 FROM catalogue_changes WHERE log_sequence > :since AND (user_id IS NULL OR user_id = :user)) "
    "OR EXISTS (SELECT 1 FROM removals WHERE log_sequence > :since)"
)


@dataclass(frozen=True, slots=True)
class Standing:
    """What happened to a user since a position.

    Attributes:
        position: where the log stands.
        file_number: of the log's file: another one took its place where it differs.
        has_events: newer events of the user's are in the log.
        otherwise: the catalogue changed for the user, or something was taken out of the log, whoever's it was.
    """

    position: int
    file_number: int | None
    has_events: bool
    otherwise: bool


class Standings:
    """Looks at a log.

    Args:
        path: the log's file.
    """

    def __init__(self, path: Path) -> None:
        self._database = Database(path)

    def of(self, user_id: str, since: int) -> Standing:
        """How one user stands.

        Raises:
            StoreTimeoutError: a time budget is running, and it was not enough.
        """
        connection = self._database.connection()
        with bounded(connection, LOCK_WAIT_SECONDS):
            asked = {"user": user_id, "since": since}
            position, has_events, otherwise = connection.execute(_QUERY, asked).fetchone()
        return Standing(int(position), self._database.file_number(), bool(has_events), bool(otherwise))
