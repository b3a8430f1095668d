"""Runs a command and looks on: how long it took, and the most memory that it and its processes held."""

from __future__ import annotations

import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

_PAUSE = 2.0
"""Seconds between looks: the kernel counts the pages of a large process for a tenth of a second."""


@dataclass(frozen=True, slots=True)
class Ran:
    """A command that ended well.

    Attributes:
        said: what it wrote to its standard output.
        seconds: from its start to its end.
        peak_bytes: the most that it and all processes it started held at once.
        processes: how many they were then.
    """

    said: str
    seconds: float
    peak_bytes: int
    processes: int


def run_measured(command: Sequence[str], environment: Mapping[str, str]) -> Ran:
    """Runs it to its end; memory is the proportional set size, summed every two seconds: shared pages count once.

    Raises:
        RuntimeError: it ended with another code than 0.
    """
    started = time.monotonic()
    with tempfile.TemporaryFile("w+") as said:
        running = subprocess.Popen(command, stdout=said, env=dict(environment))
        peak, processes = 0, 0
        while running.poll() is None:
            held, number = _memory(running.pid)
            if held > peak:
                peak, processes = held, number
            time.sleep(_PAUSE)
        seconds = time.monotonic() - started
        if running.returncode:
            raise RuntimeError(f"{' '.join(command[:4])} … ended with code {running.returncode}.")
        said.seek(0)
        return Ran(said.read(), seconds, peak, processes)


def _memory(pid: int) -> tuple[int, int]:
    """Bytes that a process and all below it hold, shared pages divided among their users, and how many they are."""
    held, number = 0, 0
    for process in _family(pid):
        try:
            lines = Path(f"/proc/{process.pid}/smaps_rollup").read_text().splitlines()
        except OSError:  # it has ended
            continue
        held += sum(int(line.split()[1]) * 1_024 for line in lines if line.startswith("Pss:"))
        number += 1
    return held, number


def _family(pid: int) -> list[psutil.Process]:
    try:
        parent = psutil.Process(pid)
        return [parent, *parent.children(recursive=True)]
    except psutil.Error:
        return []
