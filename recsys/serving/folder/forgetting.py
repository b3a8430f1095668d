"""Has what is kept in memory of a user go with the user, whichever process deletes. It knows removals, not heads."""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Collection
from typing import Protocol

from recsys.context.user_memory import STILL_UNDER_WAY
from recsys.errors import RecsysError
from recsys.events.removals import Removals
from recsys.serving.background import Background

LOOK_SECONDS = 0.5
_log = logging.getLogger(__name__)


class Memory(Protocol):
    """What keeps something of users; `recsys.ranking.kept_heads.KeptHeads` is one."""

    def user_ids(self) -> Collection[str]: ...

    def forget(self, user_ids: Collection[str]) -> None: ...

    def clear(self) -> None: ...


class Forgetting(Background):
    """Looks at the log's removals, and takes out of a memory whom they concern. As a context manager it goes on so.

    Args:
        removals: of the workspace's log.
        memory: what forgets.
        look_seconds: how often they are looked at; a deletion by this process need not wait for it (`look`).
        clock: seconds.
    """

    def __init__(
        self,
        removals: Removals,
        memory: Memory,
        *,
        look_seconds: float = LOOK_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__("forgetting")
        self._removals = removals
        self._memory = memory
        self._every = look_seconds
        self._clock = clock
        self._recent: list[tuple[float, int]] = []
        self._looking = threading.Lock()
        self._seen = removals.newest()

    def look(self) -> None:
        """Forgets whoever was deleted since the last look; after a pruning everybody, whose old events went.

        Whoever was deleted shortly before is looked for again: a request that was under way may have left something
        of a user of whom nothing was kept. Of users whose deletion is not complete nothing is kept at all.
        """
        with self._looking:
            newest, now = self._removals.newest(), self._clock()
            if newest < self._seen or self._removals.pruned_after(self._seen):
                self._memory.clear()
            if newest > self._seen:
                self._recent.append((now + STILL_UNDER_WAY, self._seen))
            self._seen = newest
            self._memory.forget(self._removals.being_deleted())
            if self._recent:
                oldest = min(position for _, position in self._recent)
                self._memory.forget(self._removals.deleted_after(list(self._memory.user_ids()), oldest))
            self._recent = [(until, position) for until, position in self._recent if until > now]

    def _work(self) -> None:
        while not self._leaving.wait(self._every):
            try:
                self.look()
            except (RecsysError, sqlite3.Error, OSError) as error:
                _log.warning("the log's removals cannot be read, nothing is kept in memory: %s", error)
                self._memory.clear()
