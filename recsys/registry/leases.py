"""Which versions are in use now, by services and batches: nobody may throw away what another process scores with.

A lease is a locked file; the kernel lets go of it when its process ends, however that ends.
"""

from __future__ import annotations

import fcntl
import os
import uuid
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from recsys.workspace import Workspace

_SUFFIX = ".lock"


class Lease:
    """Holds a version until `release`, or until nothing refers to it any more.

    Args:
        workspace: whose model.
        version: its number in the registry.
        by: who uses it, for people.

    Raises:
        OSError: the workspace's folder cannot be written.
    """

    def __init__(self, workspace: Workspace, version: str, by: str) -> None:
        self.version = version
        path, descriptor = _locked_file(_folder(workspace), version)
        os.write(descriptor, f"{by}, process {os.getpid()}".encode())
        self._let_go = weakref.finalize(self, _let_go, path, descriptor)

    def release(self) -> None:
        """Lets go; a second time does nothing."""
        self._let_go()


@contextmanager
def in_use(workspace: Workspace, version: str, by: str) -> Iterator[None]:
    """Holds a version for the length of a block."""
    lease = Lease(workspace, version, by)
    try:
        yield
    finally:
        lease.release()


def versions_in_use(workspace: Workspace) -> dict[str, list[str]]:
    """Who uses which version now: holders by version. What dead processes left is removed."""
    found: dict[str, list[str]] = {}
    for path in sorted(_folder(workspace).glob(f"*{_SUFFIX}")):
        holder = _holder(path)
        if holder is not None:
            found.setdefault(path.name.split("-")[0], []).append(holder)
    return found


def _folder(workspace: Workspace) -> Path:
    return workspace.root / "in-use"


def _locked_file(folder: Path, version: str) -> tuple[Path, int]:
    """A new file, locked; made again where somebody who looks for dead leases was faster than the lock."""
    folder.mkdir(parents=True, exist_ok=True)
    while True:
        path = folder / f"{version}-{uuid.uuid4().hex[:12]}{_SUFFIX}"
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        if path.exists():
            return path, descriptor
        os.close(descriptor)


def _holder(path: Path) -> str | None:
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return os.read(descriptor, 200).decode(errors="replace") or "a process that just began"
    else:
        path.unlink(missing_ok=True)
        return None
    finally:
        os.close(descriptor)


def _let_go(path: Path, descriptor: int) -> None:
    with suppress(OSError):
        path.unlink(missing_ok=True)
    os.close(descriptor)
