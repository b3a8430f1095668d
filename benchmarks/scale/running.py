"""Runs a command and looks on: how long it took, and what it and its processes took of memory and processors."""

from __future__ import annotations

import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmarks.scale.usage import Usage


@dataclass(frozen=True, slots=True)
class Ran:
    """A command that ended well.

    Attributes:
        said: what it wrote to its standard output.
        seconds: from its start to its end.
        peak_bytes: the most that it and all processes it started held at once.
        processes: how many they were then.
        bytes_at_most: see `Usage`.
        processor_seconds: of it and all processes it started.
    """

    said: str
    seconds: float
    peak_bytes: int
    processes: int
    bytes_at_most: int
    processor_seconds: float


def run_measured(command: Sequence[str], environment: Mapping[str, str]) -> Ran:
    """Runs it to its end and watches what it takes, see `Usage`.

    Raises:
        RuntimeError: it ended with another code than 0.
    """
    started = time.monotonic()
    with tempfile.TemporaryFile("w+") as said:
        running = subprocess.Popen(command, stdout=said, env=dict(environment))
        with Usage(running.pid) as usage:
            code = running.wait()
        seconds = time.monotonic() - started
        if code:
            raise RuntimeError(f"{' '.join(command[:4])} … ended with code {code}.")
        said.seek(0)
        taken = (usage.bytes, usage.processes, usage.bytes_at_most, usage.processor_seconds)
        return Ran(said.read(), seconds, *taken)
