"""Work beside the replies: handed over without waiting, done by one thread, dropped and counted when there is too much.

It knows nothing of what is done; whatever happens to the work, no reply waits for it or fails with it.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from recsys.serving.background import Background

_POLL_SECONDS = 0.2
_DRAIN_SECONDS = 10.0
_Work = TypeVar("_Work")
_log = logging.getLogger(__name__)


class Beside(Background, Generic[_Work]):
    """One background thread with a bounded queue; it does what is left when it is left.

    Args:
        do: does a batch of work; what it raises is logged once, until it works again.
        what: what the work is, for the log and the thread's name.
        size: how much may wait; more is dropped.
        gather_seconds: how long the first of a batch waits for others.
    """

    def __init__(
        self, do: Callable[[Sequence[_Work]], object], *, what: str, size: int, gather_seconds: float = 0.0
    ) -> None:
        super().__init__(what, _DRAIN_SECONDS)
        self._do = do
        self._what = what
        self._gather = gather_seconds
        self._queue: queue.Queue[_Work] = queue.Queue(size)
        self._counting = threading.Lock()
        self._done, self._dropped = 0, 0
        self._troubled = False

    @property
    def done(self) -> int:
        """How much was done so far."""
        return self._done

    @property
    def dropped(self) -> int:
        """How much was dropped so far: too much waited, or doing it failed."""
        return self._dropped

    def hand_over(self, work: _Work) -> None:
        """Returns at once and never raises."""
        try:
            self._queue.put_nowait(work)
        except queue.Full:
            self._drop(1, "more comes than can be done")

    def _work(self) -> None:
        while True:
            closing = self._leaving.is_set()  # before the look: what was handed over until then is done
            batch = self._batch()
            if batch:
                self._try(batch)
            elif closing:
                return

    def _batch(self) -> list[_Work]:
        try:
            batch = [self._queue.get(timeout=0.0 if self._leaving.is_set() else _POLL_SECONDS)]
        except queue.Empty:
            return []
        self._leaving.wait(self._gather)
        while len(batch) <= self._queue.maxsize:
            try:
                batch.append(self._queue.get_nowait())
            except queue.Empty:
                break
        return batch

    def _try(self, batch: Sequence[_Work]) -> None:
        try:
            self._do(batch)
        except Exception as error:
            self._drop(len(batch), f"{type(error).__name__}: {error}")
        else:
            with self._counting:
                self._done += len(batch)
                self._troubled = False

    def _drop(self, number: int, why: str) -> None:
        with self._counting:
            self._dropped += number
            first, self._troubled = not self._troubled, True
        if first:
            _log.warning("%s: dropped (%s); replies are not affected", self._what, why)
