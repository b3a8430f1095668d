"""Runs a command and looks on: how long it took, and the most memory that it and its processes held."""

from __future__ import annotations

import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmarks.scale.peak import PeakMemory


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
    """Runs it to its end and watches its memory, see `PeakMemory`.

    Raises:
        RuntimeError: it ended with another code than 0.
    """
    started = time.monotonic()
    with tempfile.TemporaryFile("w+") as said:
        running = subprocess.Popen(command, stdout=said, env=dict(environment))
        with PeakMemory(running.pid) as peak:
            code = running.wait()
        seconds = time.monotonic() - started
        if code:
            raise RuntimeError(f"{' '.join(command[:4])} … ended with code {code}.")
        said.seek(0)
        return Ran(said.read(), seconds, peak.bytes, peak.processes)
