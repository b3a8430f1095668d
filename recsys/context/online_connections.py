"""Connections to the embedded online store's file: one a thread, in WAL mode, with the fence put up.

It knows sqlite, nothing of Feast or of rows.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from pathlib import Path

from recsys.context import fence
from recsys.deadline import check_deadline, lock_wait


class OnlineConnections:
    """A connection for each thread of each process; Feast's own store shares one among all."""

    def __init__(self) -> None:
        self._local = threading.local()

    def of(self, path: Path, busy_timeout_seconds: float) -> sqlite3.Connection:
        """The thread's connection, opened anew when the file is another one by now: a rebuild starts a new store.

        Args:
            path: the file; it and its folder are made when missing.
            busy_timeout_seconds: how long a writer waits for another one.

        Raises:
            StoreTimeoutError: a time budget is running, and it was spent on waiting for a lock.
        """
        existing: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if existing is not None and self._local.opened == (os.getpid(), _file_number(path)):
            return existing
        opened = _open(path, busy_timeout_seconds)
        self._local.connection, self._local.opened = opened, (os.getpid(), _file_number(path))
        return opened

    def close(self) -> None:
        """Closes the calling thread's connection."""
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is not None:
            connection.close()
            self._local.connection = None


def _open(path: Path, busy_timeout_seconds: float) -> sqlite3.Connection:
    path.parent.mkdir(parents=True, exist_ok=True)
    wait = lock_wait(busy_timeout_seconds)
    connection = sqlite3.connect(path, timeout=wait, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        fence.put_up(connection)
    except sqlite3.OperationalError:
        connection.close()
        check_deadline()
        raise
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("PRAGMA secure_delete = ON")
    connection.execute(f"PRAGMA busy_timeout = {int(busy_timeout_seconds * 1_000)}")
    return connection


def _file_number(path: Path) -> int | None:
    try:
        return os.stat(path).st_ino
    except FileNotFoundError:
        return None
