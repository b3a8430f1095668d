"""Folders that take another's place, and what is left when the process is killed in between.

Two renames cannot be one step: between them a folder has no name of its own. Whoever comes next puts it back. It knows
folders and their names, not what is in them.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from recsys.durable import TEMPORARY_PREFIX, sync
from recsys.errors import ConfigError
from recsys.failpoints import Failpoint, reached

_HEX = 12
_GIVEN_WAY = ".replaced"


@contextmanager
def unfinished_folder(target: Path) -> Iterator[Path]:
    """A new folder beside `target` to fill; it goes at the end, and nobody takes it for a leftover meanwhile."""
    target.parent.mkdir(parents=True, exist_ok=True)
    folder = target.with_name(_new_name(target))
    folder.mkdir()
    try:
        with held(folder):
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Tells other processes that a folder is being worked on, whatever it is called by then; ends with the process.

    Raises:
        ConfigError: another process is working on it.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigError(f"{folder} is being restored by another process. Try again when it has ended.") from None
        yield
    finally:
        os.close(descriptor)


def take_place(folder: Path, target: Path) -> Path:
    """Gives a folder the name of another one, which gives way.

    Returns:
        Where the other one is now; it is the caller's to remove.

    Raises:
        ConfigError: somebody made a new one at that moment; the former one has its name again.
    """
    aside = target.with_name(f"{_new_name(target)}{_GIVEN_WAY}")
    with held(target):
        target.rename(aside)
        reached(Failpoint.RESTORE_GIVEN_WAY)
        try:
            appear(folder, target)
        except BaseException:
            if target.exists():  # made by somebody at that moment, who goes over to the former one again
                target.rename(target.with_name(_new_name(target)))
            aside.rename(target)
            raise
    return aside


def appear(folder: Path, target: Path) -> None:
    """Gives a folder a name that nobody has.

    Raises:
        ConfigError: somebody has it.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        folder.rename(target)
    except OSError as error:
        if not target.exists():
            raise
        raise ConfigError(
            f"Another process made {target} meanwhile; it was left alone. Stop that one first."
        ) from error
    sync(target.parent)


def put_back(target: Path) -> None:
    """Gives a folder its name again if it gave way and nothing took its place, as the process was killed.

    Raises:
        ConfigError: that process is still at it.
    """
    for aside in _leftovers(target, _GIVEN_WAY):
        if target.exists():
            return
        with held(aside):
            aside.rename(target)
            sync(target.parent)


def sweep(target: Path) -> None:
    """Removes what killed processes left beside a folder, but the folder itself if it gave way to nothing."""
    stale = _leftovers(target, "")
    if target.exists():
        stale += _leftovers(target, _GIVEN_WAY)
    for folder in stale:
        try:
            with held(folder):
                shutil.rmtree(folder, ignore_errors=True)
        except (ConfigError, FileNotFoundError):
            continue


def _new_name(target: Path) -> str:
    return f"{TEMPORARY_PREFIX}{target.name}-{uuid.uuid4().hex[:_HEX]}"


def _leftovers(target: Path, ending: str) -> list[Path]:
    """Of this name exactly: another one's may begin with it."""
    return sorted(target.parent.glob(f"{TEMPORARY_PREFIX}{target.name}-{'[0-9a-f]' * _HEX}{ending}"))
