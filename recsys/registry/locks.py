"""One at a time, among the processes of one machine. A lock goes with its process, however that ends."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from recsys.errors import RegistryError

NAMING_SECONDS = 1.0
"""How long the second comer waits for the holder, who has the lock already, to write who it is."""


@contextmanager
def exclusive(path: Path, what: str) -> Iterator[None]:
    """Holds a lock file for the block; whoever comes second is told, not kept waiting. The file stays.

    Args:
        path: the lock file; its text says who holds it.
        what: what is being done, for the message: "promotion".

    Raises:
        RegistryError: another process holds it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RegistryError(
                f"Another {what} is under way ({_read_holder(file)}; lock {path}): nothing was changed."
                " Wait for it to end."
            ) from None
        file.truncate(0)
        file.write(f"process {os.getpid()}")
        file.flush()
        try:
            yield
        finally:
            file.truncate(0)


def _read_holder(file: TextIO) -> str:
    deadline = time.monotonic() + NAMING_SECONDS
    while time.monotonic() < deadline:
        file.seek(0)
        if holder := file.read().strip():
            return holder
        time.sleep(0.01)
    return "another process"


@contextmanager
def in_turn(path: Path) -> Iterator[None]:
    """Holds a lock file for the block; whoever comes second waits. The file stays."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
