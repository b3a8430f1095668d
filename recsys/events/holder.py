"""Who holds the lease, written so that another process of the same machine can tell whether that one still runs.

It decides only how soon a lease passes on: that two holders' writes never mix is what tokens are for.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Self

_PROC = Path("/proc")
_WRITTEN = re.compile(r"process (\d+) \((\w+)\) started (\d+) on (\S+)")
_ENDED = ("Z", "X")


@dataclass(frozen=True, slots=True)
class Holder:
    """A process and one of its ways to the lease.

    Attributes:
        process: its id.
        mark: tells two ways of one process apart.
        started: when it began, clock ticks since the machine did: ids are given again, this together with one is not.
        machine: one run of one machine, and which of its process-id namespaces.
    """

    process: int
    mark: str
    started: int
    machine: str

    @classmethod
    def here(cls, mark: str) -> Self | None:
        """The calling process; None where the operating system does not say."""
        machine, state = _machine(), _state(os.getpid())
        return None if machine is None or state is None else cls(os.getpid(), mark, state[1], machine)

    @classmethod
    def read(cls, text: str) -> Self | None:
        """What `str` wrote; None for anything else."""
        found = _WRITTEN.fullmatch(text)
        return None if found is None else cls(int(found[1]), found[2], int(found[3]), found[4])

    def __str__(self) -> str:
        return f"process {self.process} ({self.mark}) started {self.started} on {self.machine}"

    def has_ended(self) -> bool:
        """Whether the process certainly runs no longer; False on another machine, and wherever nobody can tell."""
        if self.machine != _machine():
            return False
        try:
            os.kill(self.process, 0)
        except ProcessLookupError:
            return True
        except PermissionError:
            pass
        state = _state(self.process)
        if state is None:  # hidden from this user, or ending just now
            return False
        letter, started = state
        return started != self.started or (letter in _ENDED and _threads(self.process) <= 1)


def named(text: str) -> str:
    """A holder for people: without what only machines compare."""
    holder = Holder.read(text)
    return text if holder is None else f"process {holder.process} ({holder.mark})"


def _machine() -> str | None:
    """The boot and the namespace that ids of processes are of, when /proc speaks of the same namespace."""
    try:
        if int(os.readlink(_PROC / "self")) != os.getpid():
            return None
        boot = (_PROC / "sys/kernel/random/boot_id").read_text().strip()
        return f"{boot}/{os.readlink(_PROC / 'self/ns/pid')}"
    except (OSError, ValueError):
        return None


def _state(process: int) -> tuple[str, int] | None:
    """The state's letter and when the process began; None when it cannot be read."""
    try:
        text = (_PROC / str(process) / "stat").read_text()
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()  # the name before it may hold anything
    return fields[0], int(fields[19])


def _threads(process: int) -> int:
    """A main thread that has ended is shown as a zombie while others go on."""
    try:
        return len(os.listdir(_PROC / str(process) / "task"))
    except OSError:
        return 0
