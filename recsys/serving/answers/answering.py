"""Where answers are computed that take long, or wait for somebody: in few threads beside the event loop.

What takes milliseconds is computed by the loop itself: a thread would compute no more in the same process, and each
change from one to the other waits for a core. More threads only take turns with each other, and each has connections,
with their memory, of its own.

Who writes waits for other writers of the workspace, a deletion for minutes: each kind of it has threads of its own, so
that nobody who only asks waits behind them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from anyio import CapacityLimiter, to_thread

from recsys.deadline import time_budget

THREADS = 4
OTHER_THREADS = 8
"""For everything else that only asks."""
_Reply = TypeVar("_Reply")


def bound_other_threads() -> None:
    """Bounds the threads of all routes that have none of their own. To be called inside the event loop."""
    to_thread.current_default_thread_limiter().total_tokens = OTHER_THREADS


class Answering:
    """Threads for one kind of work.

    Args:
        threads: how many are computed at a time; others wait in the order in which they came.
        patience: seconds that one may wait for a thread and for databases, together; None: as long as it takes.
    """

    def __init__(self, threads: int = THREADS, patience: float | None = None) -> None:
        self._threads = threads
        self._patience = patience
        self._limiter: CapacityLimiter | None = None

    async def run(self, answer: Callable[[], _Reply]) -> _Reply:
        """What `answer` gives, or raises; StoreTimeoutError, where it asked a database when the patience was over."""
        if self._limiter is None:
            self._limiter = CapacityLimiter(self._threads)
        with time_budget(self._patience):
            return await to_thread.run_sync(answer, limiter=self._limiter)


def recording(patience: float) -> Answering:
    """Threads for events: waiting for the log's lock costs no processor.

    Args:
        patience: seconds until events that could not be written are refused.
    """
    return Answering(4, patience)


def changing() -> Answering:
    """Threads for changes of the catalogue."""
    return Answering(2)


def deleting() -> Answering:
    """The thread for deletions: one at a time is all that the workspace's lease allows."""
    return Answering(1)


def measuring() -> Answering:
    """The thread for metrics: they are told when everything else waits."""
    return Answering(1, patience=2.0)
