"""Which stored rows are not what the log would give now. It knows positions, not what a row is made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from recsys.errors import FeatureStoreError
from recsys.events.catalogue_changes import CatalogueChanges
from recsys.events.log import EventLog
from recsys.events.removals import Removals


@dataclass(frozen=True, slots=True)
class Outrun:
    """Users whose stored row is not what the log would give now.

    Attributes:
        by_events: newer events of theirs are in the log.
        otherwise: the catalogue changed, or something was taken out of the log.
    """

    by_events: frozenset[str] = frozenset()
    otherwise: frozenset[str] = frozenset()

    @property
    def users(self) -> list[str]:
        return sorted(self.by_events | self.otherwise)


class Outruns:
    """Looks at a log.

    Args:
        log: the log.
        workspace: the workspace's name, for messages.
    """

    def __init__(self, log: EventLog, workspace: str) -> None:
        self._workspace = workspace
        self._log = log
        self._changes = CatalogueChanges(log.path)
        self._removals = Removals(log.path)

    def of(self, user_ids: Sequence[str], positions: Sequence[int]) -> Outrun:
        """The users whose events or catalogue changed since their row was folded.

        Args:
            user_ids: at least one.
            positions: where the log stood when each user's row was folded; 0: there is no row.

        Raises:
            FeatureStoreError: a row was folded at a place that the log has not reached.
        """
        oldest, position = min(positions), self._log.position()
        if position < max(positions):
            raise FeatureStoreError(
                f"The event log of '{self._workspace}' ends at {position}, before the {max(positions)} that stored "
                "rows were folded at: it was replaced or restored. Rebuild the rows from it: "
                f"recsys features materialise --rebuild --workspace {self._workspace}"
            )
        changed = self._changes.felt_by(user_ids, oldest)
        if position == oldest and not changed:
            return Outrun()
        folded_at = list(zip(user_ids, positions, strict=True))
        newest = self._log.newest_of(sorted(set(user_ids)), after=oldest)
        altered = [*changed, *self._removals.felt_by(user_ids, oldest)]
        return Outrun(
            by_events=frozenset(user_id for user_id, at in folded_at if newest.get(user_id, 0) > at),
            otherwise=frozenset(
                user_id
                for concerned, since in altered
                for user_id, at in folded_at
                if at < since and concerned in (None, user_id)
            ),
        )
