"""Checks the machine: room on disk, memory, cores, and whether the workspaces' folder can be written."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from recsys.jobs.doctor.finding import Finding
from recsys.workspace import HOME_VARIABLE, home

GIB = 1 << 30
DISK_NEEDED, DISK_WISHED = 1 * GIB, 5 * GIB
MEMORY_WISHED = 4 * GIB
CORES_WISHED = 2
SHARED_MEMORY_WISHED = GIB // 2
_CONTAINER_LIMIT = Path("/sys/fs/cgroup/memory.max")
_SHARED_MEMORY = Path("/dev/shm")


def check_home() -> Finding:
    """Whether workspaces can be written; makes nothing that stays."""
    folder = home()
    there = existing_parent(folder)
    try:
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as error:
        says = f"{folder} cannot be written ({error.strerror}); all workspaces lie there."
        return Finding("workspaces", "problem", says, f"export {HOME_VARIABLE}=/a/folder/of/yours")
    return Finding("workspaces", "ok", f"{folder} can be written.")


def check_disk() -> Finding:
    """Room for event logs, feature stores and snapshots."""
    folder = home()
    free = shutil.disk_usage(existing_parent(folder)).free
    says = f"{_gib(free)} free where {folder} lies."
    if free < DISK_NEEDED:
        mend = f"make room, or: export {HOME_VARIABLE}=/a/folder/on/a/larger/disk"
        return Finding("disk", "problem", f"Only {says} {_gib(DISK_NEEDED)} is the least.", mend)
    return Finding("disk", "note" if free < DISK_WISHED else "ok", says)


def check_memory() -> Finding:
    """Memory that this process may use: the machine's, or its container's limit."""
    size = memory_limit()
    says = f"{_gib(size)} of memory."
    if size < MEMORY_WISHED:
        return Finding("memory", "note", f"{says} Below {_gib(MEMORY_WISHED)} a training may be killed.")
    return Finding("memory", "ok", says)


def check_cores() -> Finding:
    """Cores that this process may run on; training starts two workers."""
    affinity = getattr(os, "sched_getaffinity", None)
    cores = len(affinity(0)) if affinity is not None else os.cpu_count() or 1
    if cores < CORES_WISHED:
        return Finding(
            "cores", "note", f"{cores} core: the two training workers share it, all takes about twice as long."
        )
    return Finding("cores", "ok", f"{cores} cores.")


def check_shared_memory() -> Finding:
    """Room in /dev/shm, where Ray keeps its objects; containers often start with 64 MB of it."""
    if not _SHARED_MEMORY.is_dir():
        return Finding("shared memory", "ok", "This system has no /dev/shm; Ray uses its temporary folder.")
    size = shutil.disk_usage(_SHARED_MEMORY).total
    if size < SHARED_MEMORY_WISHED:
        says = f"/dev/shm has {size >> 20} MB: Ray falls back to files, which is slower."
        return Finding("shared memory", "note", says, "docker run --shm-size=1g … (or a larger /dev/shm)")
    return Finding("shared memory", "ok", f"{_gib(size)} in /dev/shm.")


def memory_limit() -> int:
    """Bytes of memory of the machine, or of the container when that is less."""
    size = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        limit = _CONTAINER_LIMIT.read_text().strip()
    except OSError:
        return size
    return min(size, int(limit)) if limit.isdigit() else size


def existing_parent(folder: Path) -> Path:
    """The folder itself or the nearest one above it that exists."""
    return next(path for path in (folder, *folder.parents) if path.is_dir())


def _gib(size: int) -> str:
    return f"{size / GIB:.1f} GB"
