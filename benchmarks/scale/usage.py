"""What a process and all below it take while something runs: the most memory at once, and processor time."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil

from benchmarks.scale.family import family

_PAUSE = 0.2
_BETWEEN_SUMS = 1.0
"""Seconds between sums of memory: the kernel counts the pages of a large process for a tenth of a second."""
Process = tuple[int, float]
"""Its id and when it began: ids are given again."""


class Usage:
    """Looks at a family of processes in a thread.

    Memory is the proportional set size, swapped pages included, summed every second: pages that several processes share
    count once. A peak that is over within a second is missed; `bytes_at_most` misses none of a process that was looked
    at after it, but counts shared pages once for each process and adds up peaks of different moments. Processor time is
    looked at five times a second: what a process takes after the last look at it is missed.

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
        self._highest: dict[Process, int] = {}
        self._processor: dict[Process, float] = {}
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    @property
    def bytes_at_most(self) -> int:
        """The resident sets of all processes there were, each at its own peak."""
        return sum(self._highest.values())

    @property
    def processor_seconds(self) -> float:
        """Of all processes there were, in user and system mode."""
        return sum(self._processor.values())

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        summed = -_BETWEEN_SUMS
        while True:
            own = family(self._pid)
            for process in own:
                self._look(process)
            if time.monotonic() - summed >= _BETWEEN_SUMS:
                summed = time.monotonic()
                held = [bytes_ for process in own if (bytes_ := _held(process.pid)) is not None]
                if sum(held) > self.bytes:
                    self.bytes, self.processes = sum(held), len(held)
            if self._done.wait(_PAUSE):
                return

    def _look(self, process: psutil.Process) -> None:
        try:
            named, times = (process.pid, process.create_time()), process.cpu_times()
        except psutil.Error:  # it has ended
            return
        self._processor[named] = times.user + times.system
        self._highest[named] = max(_highest(process.pid) or 0, self._highest.get(named, 0))


def _held(pid: int) -> int | None:
    """Bytes, shared pages divided among their users; None: it has ended."""
    return _kilobytes(f"/proc/{pid}/smaps_rollup", ("Pss:", "SwapPss:"))


def _highest(pid: int) -> int | None:
    """Bytes of the resident set when it was largest; None: it has ended."""
    return _kilobytes(f"/proc/{pid}/status", ("VmHWM:",))


def _kilobytes(file: str, names: tuple[str, ...]) -> int | None:
    try:
        lines = Path(file).read_text().splitlines()
    except OSError:
        return None
    return sum(int(line.split()[1]) * 1_024 for line in lines if line.startswith(names))
