"""How much memory this process may still take: what the machine has left, or its container when that is less."""

from __future__ import annotations

import os
from pathlib import Path

_CGROUP = Path("/sys/fs/cgroup")
_MEMORY_INFORMATION = Path("/proc/meminfo")
_KILO = 1024


def available_memory() -> int:
    """Bytes that can still be taken without anything being swapped or killed."""
    left = _left_in_container()
    return _left_on_machine() if left is None else min(_left_on_machine(), left)


def _left_on_machine() -> int:
    try:
        lines = _MEMORY_INFORMATION.read_text().splitlines()
    except OSError:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    told = dict(line.split(":", 1) for line in lines if ":" in line)
    return int(told["MemAvailable"].split()[0]) * _KILO


def _left_in_container() -> int | None:
    """What the control group's limit leaves, files it could drop not counted as taken; None where there is no limit."""
    limit = _number(_CGROUP / "memory.max")
    if limit is not None:
        return limit - (_number(_CGROUP / "memory.current") or 0) + _droppable(_CGROUP / "memory.stat", "inactive_file")
    older = _CGROUP / "memory"
    limit = _number(older / "memory.limit_in_bytes")
    if limit is None:
        return None
    taken = _number(older / "memory.usage_in_bytes") or 0
    return limit - taken + _droppable(older / "memory.stat", "total_inactive_file")


def _number(file: Path) -> int | None:
    try:
        text = file.read_text().strip()
    except OSError:
        return None
    return int(text) if text.isdigit() else None


def _droppable(file: Path, name: str) -> int:
    try:
        told = dict(line.split() for line in file.read_text().splitlines())
    except (OSError, ValueError):
        return 0
    return int(told.get(name, 0))
