"""The sqlite files under the event log and what was shown: connections set up for durability and concurrency."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from recsys.deadline import bounded, check_deadline, lock_wait
from recsys.errors import ConfigError, DataError
from recsys.events.tables import LAYOUT, layout, make_tables

LOCK_WAIT_SECONDS = 60.0
JOURNAL_VARIABLE = "RECSYS_JOURNAL"
"""wal, or rollback: the write-ahead log needs memory that processes share, which those of several machines do not."""
_JOURNALS = {"wal": "wal", "rollback": "delete"}


@dataclass(frozen=True, slots=True)
class Content:
    """What a file holds.

    Attributes:
        name: what people call it.
        layout: the version of its tables that this library writes, in the file's user_version.
        make_tables: brings a new file, or one of an earlier layout, to this one; whole or not at all.
    """

    name: str
    layout: int
    make_tables: Callable[[sqlite3.Connection], None]


EVENT_LOG = Content("event log", LAYOUT, make_tables)


class Database:
    """One file for many threads and processes: a connection a thread, and its transactions.

    A file that comes from a backup takes this one's place while others have it open: they go over to it.

    Args:
        path: the file; it and its folder are made when first used.
        content: what it holds.
    """

    def __init__(self, path: Path, content: Content = EVENT_LOG) -> None:
        self.path = path
        self._content = content
        self._local = threading.local()

    def connection(self) -> sqlite3.Connection:
        """The calling thread's connection, opened anew when the file is another one by now.

        Raises:
            DataError: the file is gone, or cannot be opened (`open_database`).
        """
        existing: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if existing is not None and self._is_current():
            return existing
        number = _file_number(self.path)
        if number is None and existing is not None:
            raise DataError(
                f"The {self._content.name} {self.path} was there and is gone. If it is being restored, try again."
            )
        opened = open_database(self.path, self._content)
        if number is None:  # it was made just now
            number = _file_number(self.path)
        self._local.connection, self._local.opened = opened, (os.getpid(), number)
        return opened

    def file_number(self) -> int | None:
        """Of the file that the calling thread's connection is on: another file has another one."""
        number: int | None = self._local.opened[1]
        return number

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """A transaction that shuts out every other writer of the file until it is committed at the end.

        Raises:
            StoreTimeoutError: a time budget is running, and others were writing until it was spent.
        """
        connection = self._begun()
        try:
            yield connection
        except BaseException:
            connection.rollback()
            raise
        connection.commit()

    def _begun(self) -> sqlite3.Connection:
        """A write transaction on the file that is in place: while it was waited for, another may have taken it."""
        while True:
            connection = self.connection()
            with bounded(connection, LOCK_WAIT_SECONDS):
                connection.execute("BEGIN IMMEDIATE")
            if self._is_current():
                return connection
            connection.rollback()

    def _is_current(self) -> bool:
        return bool(self._local.opened == (os.getpid(), _file_number(self.path)))

    def rewrite(self) -> None:
        """Writes the file anew from its live content: secure_delete alone leaves what sqlite copied in splitting pages.

        Writers wait meanwhile, about a second for 10 MB.
        """
        self.connection().execute("VACUUM")

    def empty_write_ahead_log(self) -> None:
        """Leaves nothing in it.

        Raises:
            DataError: readers kept it busy all the time.
        """
        connection, deadline = self.connection(), time.monotonic() + LOCK_WAIT_SECONDS
        while connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]:
            if time.monotonic() > deadline:
                raise DataError(
                    f"The {self._content.name} {self.path} is being read all the time and cannot be rewritten. What "
                    "was removed is out of use; run the command again to remove its last bytes."
                )
            time.sleep(0.02)

    def close(self) -> None:
        """Closes the calling thread's connection; the next call opens another."""
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is not None:
            connection.close()
            self._local.connection = None


def open_database(path: Path, content: Content = EVENT_LOG) -> sqlite3.Connection:
    """A connection to the file, which is made if it is missing. Commits are on disk when they return.

    A file that an earlier version of this library wrote gets the columns that it lacks.

    Raises:
        ConfigError: $RECSYS_JOURNAL asks for a journal that there is not.
        DataError: the file is not of ours, is damaged, or was written by a later version of this library.
        StoreTimeoutError: a time budget is running, and it was spent on waiting for a lock.
    """
    connection, wanted = None, _journal()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        wait = lock_wait(LOCK_WAIT_SECONDS)
        connection = sqlite3.connect(path, timeout=wait, isolation_level=None, check_same_thread=False)
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA secure_delete = ON")
        connection.execute("PRAGMA cache_size = -65536")
        if (found := layout(connection)) > content.layout:
            raise DataError(
                f"The {content.name} {path} has version {found}, this recsys knows {content.layout}: "
                "use the recsys that wrote it."
            )
        if found < content.layout:
            content.make_tables(connection)
        if connection.execute("PRAGMA journal_mode").fetchone()[0] != wanted:
            _switch_journal(connection, wanted)
        connection.execute(f"PRAGMA busy_timeout = {int(LOCK_WAIT_SECONDS * 1000)}")
    except DataError:
        if connection is not None:
            connection.close()
        raise
    except (sqlite3.DatabaseError, OSError) as error:
        if connection is not None:
            connection.close()
        check_deadline()
        raise DataError(
            f"The {content.name} {path} cannot be opened: {error}. If it is not a file of recsys, move it away; "
            "if it is damaged, restore it or import the data again into a new workspace."
        ) from error
    return connection


def _file_number(path: Path) -> int | None:
    try:
        return os.stat(path).st_ino
    except OSError:  # missing, or not to be reached: opening it tells why
        return None


def _journal() -> str:
    """Sqlite's name of the journal that $RECSYS_JOURNAL asks for.

    Raises:
        ConfigError: it asks for none that there is.
    """
    asked = os.environ.get(JOURNAL_VARIABLE) or "wal"
    if asked not in _JOURNALS:
        raise ConfigError(f"{JOURNAL_VARIABLE} is '{asked}'; it can be {' or '.join(_JOURNALS)}.")
    return _JOURNALS[asked]


def _switch_journal(connection: sqlite3.Connection, wanted: str) -> None:
    """Two processes may start at once and a switch waits for no lock; out of WAL nobody else may have the file open."""
    deadline = time.monotonic() + LOCK_WAIT_SECONDS
    while True:
        try:
            connection.execute(f"PRAGMA journal_mode = {wanted}")
            return
        except sqlite3.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)
