"""What a file says, read again when it is another one. It knows files, not what is in them."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

from recsys.errors import RecsysError

PAUSE_SECONDS = 1.0
_Said = TypeVar("_Said")
_log = logging.getLogger(__name__)


class Followed(Generic[_Said]):
    """One file's content, for many threads; looking whether it is another file costs a few microseconds.

    A file that is damaged is not read again before it is another one. Where the system could not read it just then, for
    want of file handles for example, it is tried again after a pause. Meanwhile what was read last stays.

    Args:
        path: files here are replaced, never written into.
        read: what it says; called at once.
        pause_seconds: before what could not be read is tried again.
        clock: seconds.

    Raises:
        RecsysError: what `read` raises at first.
    """

    def __init__(
        self,
        path: Path,
        read: Callable[[], _Said],
        pause_seconds: float = PAUSE_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._path = str(path)
        self._read = read
        self._pause = pause_seconds
        self._clock = clock
        self._lock = threading.Lock()
        self._not_before = clock()
        self._stamp = self._look()
        self._said = read()

    def current(self) -> _Said:
        """What the file says now; who comes while it is being read waits."""
        if not self.is_current():
            with self._lock:
                if not self.is_current():
                    self._follow()
        return self._said

    def last(self) -> _Said:
        """What it said when it was read last."""
        return self._said

    def is_current(self) -> bool:
        """Whether there is nothing to read: it is the file that was read, or cannot be read for now."""
        return self._look() == self._stamp or self._clock() < self._not_before

    def _follow(self) -> None:
        stamp = self._look()
        try:
            self._said = self._read()
        except RecsysError as error:
            _log.warning("what was read before stays in use: %s", error)
            if isinstance(error.__cause__, OSError):
                self._not_before = self._clock() + self._pause
                return
        self._stamp = stamp

    def _look(self) -> tuple[int, int, int] | None:
        """Another value after each change."""
        try:
            found = os.stat(self._path)
        except OSError:
            return None
        return found.st_ino, found.st_mtime_ns, found.st_size
