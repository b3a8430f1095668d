"""Keeps online feature rows fresh in the background: one thread, which holds the workspace's lease or stands by for it.

It knows the lease and when to work, not what a row is. Requests depend on none of it: reads fold in the log's tail.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial

from recsys.errors import LeaseError
from recsys.events.lease import FoldLease
from recsys.serving.background import Background

POLL_SECONDS = 0.5
_DRAIN_SECONDS = 10.0
_log = logging.getLogger(__name__)


class LiveFolder(Background):
    """The folder process: while it holds the lease it folds whatever is new in the log, from whatever process.

    Another process's lease is waited for. When it is left it does what is left, and lets go of the lease; what is not
    done in time stays in the log's tail.

    Args:
        lease: the way to the lease.
        step: does a bounded piece of work under a token and says whether there is more; it may raise.
        poll_seconds: how often the log and the lease are looked at when nobody calls.
        gather_seconds: how long the first call waits for others: a step costs about the same for one user and for ten.
    """

    def __init__(
        self,
        lease: FoldLease,
        step: Callable[[int], bool],
        *,
        poll_seconds: float = POLL_SECONDS,
        gather_seconds: float = 0.0,
    ) -> None:
        super().__init__("live-rows", _DRAIN_SECONDS)
        self._gather = gather_seconds
        self._lease = lease
        self._step = step
        self._poll = poll_seconds
        self._token: int | None = None
        self._renewed_at = 0.0
        self._asked, self._done = 0, 0
        self._failing = False
        self._changed = threading.Condition()

    def refresh(self, user_ids: Sequence[str]) -> None:
        """Has the log looked at now: events of these users were appended. Returns at once."""
        with self._changed:
            self._asked += 1
            self._changed.notify_all()

    def settle(self, timeout: float) -> bool:
        """Waits until what was asked for so far is folded; False when time was too short or others hold the lease."""
        with self._changed:
            wanted = self._asked
            return self._changed.wait_for(lambda: self._done >= wanted, timeout)

    @property
    def holds_lease(self) -> bool:
        """Whether this process is the folder now."""
        return self._token is not None

    def _leave(self) -> None:
        super()._leave()
        with self._changed:
            self._changed.notify_all()

    def _work(self) -> None:
        leaving = False
        while not leaving:
            leaving, asked = self._leaving.is_set(), self._asked
            if self._turn():
                with self._changed:
                    self._done = asked
                    self._changed.notify_all()
            with self._changed:
                if self._changed.wait_for(partial(self._may_start, asked), self._poll):
                    self._changed.wait_for(self._leaving.is_set, self._gather)
        if self._token is not None:
            self._quietly(partial(self._lease.release, self._token))
            self._token = None

    def _may_start(self, seen: int) -> bool:
        """Not before the next poll after a failure or in stand-by: callers must not turn those into a busy loop."""
        return self._leaving.is_set() or (self._asked > seen and self._token is not None and not self._failing)

    def _turn(self) -> bool:
        """One look at lease and log; True when everything asked for is folded."""
        return self._quietly(self._fold) is True

    def _fold(self) -> bool:
        if not self._has_lease():
            return False
        token = self._token or 0
        while self._step(token):
            if not self._has_lease() or self._token != token:
                return False
        return True

    def _has_lease(self) -> bool:
        now = time.monotonic()
        if self._token is not None and now - self._renewed_at < self._lease.seconds / 3:
            return True
        if self._token is None or not self._lease.renew(self._token):
            self._token = self._lease.acquire("serving")
        self._renewed_at = now
        return self._token is not None

    def _quietly(self, work: Callable[[], object]) -> object:
        try:
            done = work()
        except LeaseError:
            self._token = None
            _log.info("another process has taken over the online rows; standing by")
        except Exception:
            if not self._failing:
                _log.exception("online rows were not refreshed; reads fold in the log's tail meanwhile")
            self._failing = True
        else:
            self._failing = False
            return done
        return None
