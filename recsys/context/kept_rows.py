"""Keeps the rows of users asked for last, and says when one of them still is what the log gives.

Everything that a row is made of takes a place in the log: events, changes of the catalogue, removals. A row that was
exact at one place is exact at a later one if nothing between them concerns its user, so that the store under Feast
need not be asked again.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from pathlib import Path

from recsys.context.batch import FeatureRow
from recsys.context.user_memory import UserMemory
from recsys.events.standing import Standing, Standings

_A_ROW = 3_000
_AN_EVENT, _A_SEEN_ITEM = 90, 90
"""Bytes of a row's numbers and lists, about; ids are shared."""
_stamps = itertools.count(1)


@dataclass(frozen=True, slots=True)
class KeptRow:
    """A row and until where it is known to be exact.

    Attributes:
        row: the row, stamped.
        position: of the log.
        file_number: of the log's file.
    """

    row: FeatureRow
    position: int
    file_number: int | None


class KeptRows:
    """One reader's part of a memory.

    Args:
        memory: where the rows are kept; several readers may share it.
        owner: another one for every reader.
        log: the event log's file.
    """

    def __init__(self, memory: UserMemory[KeptRow], owner: str, log: Path) -> None:
        self._memory = memory
        self._owner = owner
        self._standings = Standings(log)

    def standing(self, user_id: str) -> tuple[KeptRow | None, Standing]:
        """What is kept of a user, if it is of this log, and what happened to the user since (0: since ever).

        Raises:
            StoreTimeoutError: a time budget is running, and it was not enough.
        """
        found = self._memory.look(self._owner, user_id)
        standing = self._standings.of(user_id, 0 if found is None else found.position)
        if found is not None and (found.file_number != standing.file_number or standing.position < found.position):
            found = None
        return found, standing

    def keep(self, row: FeatureRow, standing: Standing) -> FeatureRow:
        """Keeps a row that is exact as of a standing, or a later one; returns it with the stamp that it is kept under.

        Fallbacks and users whom nobody knows are not kept.
        """
        user_id = str(row.user_id)
        if not row.present or row.degraded is not None:
            self._memory.drop(self._owner, user_id)
            return row
        stamped = row if row.stamp is not None else replace(row, stamp=next(_stamps))
        size = _A_ROW + _AN_EVENT * len(row.history_items) + _A_SEEN_ITEM * len(row.seen_items)
        self._memory.put(self._owner, user_id, KeptRow(stamped, standing.position, standing.file_number), size)
        return stamped
