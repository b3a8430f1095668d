"""The most memory that a process and all below it hold while something runs."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil

_PAUSE = 1.0
"""Seconds between looks: the kernel counts the pages of a large process for a tenth of a second."""


class PeakMemory:
    """Proportional set size, summed every second in a thread: pages that several processes share count once.

    Args:
        pid: the process that is watched with all below it; None: this one.

    Attributes:
        bytes: the largest sum so far.
        processes: how many there were then.
    """

    def __init__(self, pid: int | None = None) -> None:
        self.bytes = 0
        self.processes = 0
        self._pid = os.getpid() if pid is None else pid
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    @property
    def gigabytes(self) -> float:
        """The largest sum so far, to two digits."""
        return round(self.bytes / 1e9, 2)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._done.wait(_PAUSE):
            held = held_by_family(self._pid)
            if sum(held) > self.bytes:
                self.bytes, self.processes = sum(held), len(held)


def held_by_family(pid: int) -> list[int]:
    """Bytes that a process and each one below it hold, shared pages divided among their users."""
    try:
        parent = psutil.Process(pid)
        family = [parent, *parent.children(recursive=True)]
    except psutil.Error:
        return []
    return [held for process in family if (held := _held(process.pid)) is not None]


def _held(pid: int) -> int | None:
    """None: it has ended."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return None
    return sum(int(line.split()[1]) * 1_024 for line in lines if line.startswith("Pss:"))
