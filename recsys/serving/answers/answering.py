"""Where answers are computed that take long, or wait for somebody: in few threads beside the event loop.

What takes milliseconds is computed by the loop itself: a thread would compute no more in the same process, and each
change from one to the other waits for a core. More threads only take turns with each other, and each has connections,
with their memory, of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from anyio import CapacityLimiter, to_thread

THREADS = 4
OTHER_THREADS = 8
_Reply = TypeVar("_Reply")


def bound_other_threads() -> None:
    """Bounds the threads of all other routes. To be called inside the event loop."""
    to_thread.current_default_thread_limiter().total_tokens = OTHER_THREADS


class Answering:
    """Threads for recommendations.

    Args:
        threads: how many are computed at a time; others wait in the order in which they came.
    """

    def __init__(self, threads: int = THREADS) -> None:
        self._threads = threads
        self._limiter: CapacityLimiter | None = None

    async def run(self, answer: Callable[[], _Reply]) -> _Reply:
        """What `answer` gives, or raises."""
        if self._limiter is None:
            self._limiter = CapacityLimiter(self._threads)
        return await to_thread.run_sync(answer, limiter=self._limiter)
