"""Ends a unit that takes longer than it may; not told what the unit does."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from recsys.errors import RecsysError


class UnitTimeoutError(RecsysError):
    """A unit took longer than it may; the arms it had saved are kept."""


@contextmanager
def time_limit(name: str, minutes: float) -> Iterator[None]:
    """Ends a unit that takes too long; only the main thread of a POSIX system can be interrupted so."""
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "setitimer"):
        yield
        return

    def ring(_signal: int, _frame: object) -> None:
        raise UnitTimeoutError(
            f"The unit '{name}' took longer than {minutes:g} minutes and was stopped. The arms it had saved are kept: "
            "run it again to go on from there, or split it."
        )

    previous = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, minutes * 60)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
