"""Keeps the rows of users asked for last, and says when one of them still is what the log gives.

Everything that a row is made of takes a place in the log: events, changes of the catalogue, removals. A row that was
exact at one place is exact at a later one if nothing between them concerns its user, so that the store under Feast
need not be asked again.
"""

from __future__ import annotations

import itertools
import sys
from dataclasses import dataclass, replace
from pathlib import Path

from recsys.context.batch import FeatureRow
from recsys.context.user_memory import UserMemory
from recsys.events.standing import Standing, Standings

_A_ROW = 3_000
_AN_EVENT, _A_SEEN_ITEM = 80, 56
"""Bytes of a row, of an event's and of a seen item's numbers, about; the ids of seen items come on top."""
_A_LETTER = 4
_stamps = itertools.count(1)


@dataclass(frozen=True, slots=True)
class KeptRow:
    """A row and until where it is known to be exact.

    Attributes:
        row: the row, stamped.
        position: of the log.
        file: of the log, see `Standing`.
        size: bytes in memory, about.
    """

    row: FeatureRow
    position: int
    file: int
    size: int


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
        if found is not None and (found.file != standing.file or standing.position < found.position):
            found = None
        return found, standing

    def keep(self, row: FeatureRow, standing: Standing) -> FeatureRow:
        """Keeps a row that is exact as of a standing, or a later one; returns it with the stamp that it is kept under.

        Fallbacks, users whom nobody knows and those who are being deleted are not kept: what the catalogue still holds
        of these goes without taking another place in the log.
        """
        if not row.present or row.degraded is not None or standing.being_deleted:
            self._memory.drop(self._owner, str(row.user_id))
            return row
        stamped = replace(row, history_items=_of_seen(row), stamp=next(_stamps))
        self._put(KeptRow(stamped, standing.position, standing.file, _size(row)))
        return stamped

    def renew(self, kept: KeptRow, standing: Standing) -> FeatureRow:
        """The row of a user to whom nothing happened, which is known to be exact for longer now."""
        if standing.position > kept.position:
            self._put(replace(kept, position=standing.position))
        return kept.row

    def _put(self, kept: KeptRow) -> None:
        self._memory.put(self._owner, str(kept.row.user_id), kept, kept.size)


def _of_seen(row: FeatureRow) -> tuple[str, ...]:
    """The history's ids as the very objects that are listed as seen: a row from a store holds each of them twice."""
    own = dict(zip(row.seen_items, row.seen_items, strict=True))
    return tuple(own.get(item, item) for item in row.history_items)


def _size(row: FeatureRow) -> int:
    numbers = _A_ROW + _AN_EVENT * len(row.history_items) + _A_SEEN_ITEM * len(row.seen_items)
    ids = sum(map(sys.getsizeof, row.seen_items))
    return numbers + ids + _A_LETTER * len(repr(row.profile))
