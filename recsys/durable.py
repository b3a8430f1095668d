"""Bytes that survive a crash: files and folders appear whole or not at all. Knows nothing of what is written."""

from __future__ import annotations

import errno
import json
import math
import os
import shutil
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

TEMPORARY_PREFIX = ".unfinished-"


def canonical_json(value: object) -> bytes:
    """JSON that depends on the content alone: sorted keys, no spaces, shortest floats, one newline at the end.

    Args:
        value: None, bool, int, finite float, str, list, tuple, or a mapping with string keys, nested at will.

    Returns:
        UTF-8 bytes.

    Raises:
        ValueError: something in it is none of these; the message says where.
    """
    text = json.dumps(_plain(value, "$"), sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode() + b"\n"


def write_durably(path: Path, content: bytes, *, mode: int = 0o666) -> None:
    """Writes a new file and waits until it is on the disk. The folder's entry is the caller's to sync.

    Args:
        path: where; there must be nothing yet.
        content: its bytes.
        mode: its permissions, less what the process's umask takes away.
    """
    with open(path, "xb", opener=lambda name, flags: os.open(name, flags, mode)) as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def sync(path: Path) -> None:
    """Waits until a file's bytes, or a folder's entries, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def replace_file(path: Path, content: bytes, *, mode: int = 0o666) -> None:
    """Replaces a file in one step: readers see the old bytes or the new ones, also after a crash.

    Args:
        path: which one.
        content: its new bytes.
        mode: its permissions from now on, less what the process's umask takes away.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = _unfinished(path)
    try:
        write_durably(unfinished, content, mode=mode)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
    sync(path.parent)


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """Yields a temporary sibling to fill; it becomes `path` when the block ends well, and vanishes when it does not.

    Files are to be written with `write_durably` or followed by `sync`.

    Raises:
        FileExistsError: there is something at `path` already.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = _unfinished(path)
    unfinished.mkdir()
    try:
        yield unfinished
        sync(unfinished)
        if path.exists():
            raise FileExistsError(str(path))
        try:
            unfinished.rename(path)
        except OSError as error:
            if error.errno in (errno.ENOTEMPTY, errno.EEXIST):  # another writer was faster
                raise FileExistsError(str(path)) from error
            raise
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    sync(path.parent)


def _unfinished(path: Path) -> Path:
    return path.with_name(f"{TEMPORARY_PREFIX}{path.name}-{uuid.uuid4().hex[:12]}")


def _plain(value: object, where: str) -> object:
    """The value with tuples as lists and mappings as dicts; refuses what JSON would change silently."""
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"{where} is {value}: only finite numbers can be kept")
        return float(value)
    if isinstance(value, (list, tuple)):
        return [_plain(inner, f"{where}[{index}]") for index, inner in enumerate(value)]
    if isinstance(value, Mapping):
        odd = next((key for key in value if not isinstance(key, str)), None)
        if odd is not None:
            raise ValueError(f"{where} has the key {odd!r}: keys must be strings")
        return {key: _plain(inner, f"{where}.{key}") for key, inner in value.items()}
    raise ValueError(f"{where} is a {type(value).__name__}: turn it into plain JSON values first")
