"""The lease on a workspace's feature rows: at most one process folds, rebuilds or deletes, and a number that proves it.

The lease lies in the event log's file. Every new holder gets a larger token, and stores refuse a token smaller than one
they have seen, so a holder that was paused and does not know that it lost the lease can do no harm. Clocks, and
whether the holder's process still runs, decide only how soon a lease passes on, never whether two holders' writes mix.
"""

from __future__ import annotations

import os
import secrets
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Literal

from recsys.errors import DataError, LeaseError
from recsys.events.database import Database
from recsys.events.holder import Holder, named
from recsys.failpoints import Failpoint, reached

Purpose = Literal["serving", "maintenance"]
Guard = Callable[[], AbstractContextManager[None]]
"""Makes something to enter for the moment in which files change; raises LeaseError when the lease is lost."""

SECONDS = 10.0
WAIT_SECONDS = 60.0
_POLL_SECONDS = 0.05
_HELD = "SELECT token, holder, purpose, expires_at FROM lease"


def _now() -> int:
    return time.time_ns() // 1000


class FoldLease:
    """One process's way to the lease.

    Args:
        path: the event log's file.
        clock: microseconds since the epoch; None: the machine's.
        seconds: how long the lease lasts when it is not renewed.
    """

    def __init__(self, path: Path, *, clock: Callable[[], int] | None = None, seconds: float = SECONDS) -> None:
        self.seconds = seconds
        self._mark = secrets.token_hex(4)
        self._database = Database(path)
        self._clock = clock or _now

    def acquire(self, purpose: Purpose) -> int | None:
        """Takes the lease when it is free, expired, or its holder's process has ended on this machine.

        Maintenance also takes it from a serving process.

        Returns:
            The token, larger than any before; None when somebody else holds the lease.
        """
        if not self._is_open_to(self._database.connection(), purpose):
            return None
        with self._database.writing() as connection:
            if not self._is_open_to(connection, purpose):
                return None
            token = self._token(connection) + 1
            connection.execute(
                "INSERT OR REPLACE INTO lease VALUES (1, ?, ?, ?, ?)", [token, self._holder(), purpose, self._expiry()]
            )
        reached(Failpoint.LEASE_TAKEN)
        return token

    def renew(self, token: int) -> bool:
        """Prolongs the lease; False when somebody else has taken it meanwhile."""
        with self._database.writing() as connection:
            done = connection.execute("UPDATE lease SET expires_at = ? WHERE token = ?", [self._expiry(), token])
            return done.rowcount == 1

    def release(self, token: int) -> None:
        """Lets the next one have it at once; nothing happens when it is lost already."""
        with self._database.writing() as connection:
            connection.execute("UPDATE lease SET expires_at = 0 WHERE token = ?", [token])

    @contextmanager
    def guarded(self, token: int) -> Iterator[None]:
        """While the block runs nobody can take the lease: for short steps on files, which know no token.

        It is a write transaction on the log, so appends wait as well.

        Raises:
            LeaseError: the lease is lost already; the block did not run.
        """
        with self._database.writing() as connection:
            if self._token(connection) != token:
                raise lost(token)
            yield

    def surpass(self, former: FoldLease) -> int:
        """Makes every later token here larger than any of another log's, whose place this one's log takes.

        Returns:
            The largest token that counts as given; nobody holds the lease.
        """
        there = self._token(former._database.connection())
        with self._database.writing() as connection:
            token = max(there, self._token(connection)) + 1
            connection.execute(
                "INSERT OR REPLACE INTO lease VALUES (1, ?, ?, 'maintenance', 0)", [token, self._holder()]
            )
        return token

    def holding(self) -> str | None:
        """Who holds the lease now, for people; None when nobody does."""
        row = self._database.connection().execute(_HELD).fetchone()
        return f"{named(row[1])}, {row[2]}" if self._is_held(row) else None

    def close(self) -> None:
        """Closes the calling thread's connection; the next call opens another."""
        self._database.close()

    def _is_open_to(self, connection: sqlite3.Connection, purpose: Purpose) -> bool:
        row = connection.execute(_HELD).fetchone()
        return not self._is_held(row) or (purpose == "maintenance" and row[2] == "serving")

    def _is_held(self, row: tuple[int, str, str, int] | None) -> bool:
        if row is None or row[3] <= self._clock():
            return False
        holder = Holder.read(row[1])
        return holder is None or not holder.has_ended()

    def _holder(self) -> str:
        """Who takes it now: after a fork it is another process than the one that made this object."""
        return str(Holder.here(self._mark) or f"process {os.getpid()} ({self._mark})")

    def _token(self, connection: sqlite3.Connection) -> int:
        row = connection.execute(_HELD).fetchone()
        return 0 if row is None else int(row[0])

    def _expiry(self) -> int:
        return self._clock() + int(self.seconds * 1_000_000)


@contextmanager
def maintenance(lease: FoldLease, what: str, *, wait_seconds: float = WAIT_SECONDS) -> Iterator[int]:
    """Holds the lease for a job, renewing it in the background; yields its token.

    A serving process gives way at once and takes over again afterwards; another job is waited for.

    Args:
        lease: the way to the lease.
        what: what the job does, for the message: "delete a user".
        wait_seconds: how long another job is waited for.

    Raises:
        LeaseError: another job held the lease all the time.
    """
    token = _awaited(lease, what, wait_seconds)
    done = threading.Event()

    def keep() -> None:
        while not done.wait(lease.seconds / 3):
            try:
                if not lease.renew(token):
                    return
            except (sqlite3.OperationalError, DataError):  # locked for long: nobody else can have taken it meanwhile
                continue

    thread = threading.Thread(target=keep, name="lease", daemon=True)
    thread.start()
    try:
        yield token
    finally:
        done.set()
        thread.join()
        lease.release(token)


def lost(token: int) -> LeaseError:
    """The error of a holder that is no longer one."""
    return LeaseError(
        f"Another process has taken over the feature store (this one's lease, {token}, has passed on): what it was "
        "doing was stopped before it could do harm. Run it again."
    )


def _awaited(lease: FoldLease, what: str, wait_seconds: float) -> int:
    deadline = time.monotonic() + wait_seconds
    while (token := lease.acquire("maintenance")) is None:
        if time.monotonic() > deadline:
            raise LeaseError(
                f"Cannot {what}: {lease.holding() or 'another process'} has been changing the feature store for "
                f"{wait_seconds:.0f} s. Run it again when that has ended."
            )
        time.sleep(_POLL_SECONDS)
    return token
