"""A time budget for reads: who asks sets it, whoever waits for a database keeps within it. No thread watches it."""

from __future__ import annotations

import math
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from recsys.errors import StoreTimeoutError

_INSTRUCTIONS_BETWEEN_LOOKS = 2_000

_deadline: ContextVar[float | None] = ContextVar("deadline", default=None)


@contextmanager
def time_budget(seconds: float | None) -> Iterator[None]:
    """What is read inside has this long, all of it together; None: as long as it takes."""
    token = _deadline.set(None if seconds is None else time.monotonic() + seconds)
    try:
        yield
    finally:
        _deadline.reset(token)


def seconds_left() -> float | None:
    """What is left of the budget, at least 0; None without one."""
    deadline = _deadline.get()
    return None if deadline is None else max(deadline - time.monotonic(), 0.0)


def check_deadline() -> None:
    """Raises: StoreTimeoutError when the budget is spent."""
    if seconds_left() == 0.0:
        raise StoreTimeoutError("The feature store did not answer within the time budget of this read.")


def lock_wait(patience: float) -> float:
    """For how many seconds to wait for a lock: the patience, or what is left of the budget when that is less."""
    left = seconds_left()
    return patience if left is None else min(patience, left)


@contextmanager
def bounded(connection: sqlite3.Connection, patience: float) -> Iterator[None]:
    """Statements inside give up at the deadline, whether they wait for a lock or compute.

    Args:
        connection: the calling thread's own.
        patience: how many seconds it waits for locks otherwise; restored at the end.

    Raises:
        StoreTimeoutError: the budget was spent.
    """
    left = seconds_left()
    if left is None:
        yield
        return
    check_deadline()
    connection.execute(f"PRAGMA busy_timeout = {math.ceil(left * 1_000)}")  # not a moment before the deadline
    connection.set_progress_handler(_spent, _INSTRUCTIONS_BETWEEN_LOOKS)
    try:
        yield
    except sqlite3.OperationalError:
        check_deadline()
        raise
    finally:
        connection.set_progress_handler(None, 0)
        connection.execute(f"PRAGMA busy_timeout = {int(patience * 1_000)}")


def _spent() -> int:
    return int(seconds_left() == 0.0)
