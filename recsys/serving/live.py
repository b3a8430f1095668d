"""Keeps online feature rows fresh in the background: one thread, the only writer of live rows in this process."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

_BATCH = 256
_DRAIN_SECONDS = 10.0
_log = logging.getLogger(__name__)


class BackgroundRefresh:
    """Collects users whose rows are behind the log and folds them anew, each once however often it was named.

    As a context manager it does what is left when it is left.

    Args:
        refold: reads the named users' slices of the log, folds them and pushes the rows; it may raise.
    """

    def __init__(self, refold: Callable[[Sequence[str]], None]) -> None:
        self._refold = refold
        self._waiting: dict[str, None] = {}
        self._changed = threading.Condition()
        self._closing = False
        self._busy = False
        self._thread = threading.Thread(target=self._work, name="live-rows", daemon=True)
        self._thread.start()

    def refresh(self, user_ids: Sequence[str]) -> None:
        """Notes the users and returns at once."""
        with self._changed:
            self._waiting.update(dict.fromkeys(user_ids))
            self._changed.notify_all()

    def settle(self, timeout: float) -> bool:
        """Waits until nothing is left to do; False when the time was too short."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._waiting and not self._busy, timeout)

    def close(self, timeout: float = _DRAIN_SECONDS) -> None:
        """Does what is left and ends the thread. What cannot be done in time stays in the log's tail."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join(timeout)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._closing)
                if not self._waiting:
                    return
                users = list(self._waiting)[:_BATCH]
                for user in users:
                    del self._waiting[user]
                self._busy = True
            try:
                self._refold(users)
            except Exception:
                _log.exception("%d online rows were not refreshed; reads fold in the log's tail meanwhile", len(users))
            finally:
                with self._changed:
                    self._busy = False
                    self._changed.notify_all()
