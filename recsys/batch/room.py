"""A full disk, said in one sentence."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import polars as pl

from recsys.errors import RecsysError

_FULL = {errno.ENOSPC: "no space left", errno.EDQUOT: "quota used up", errno.EFBIG: "file size limit reached"}


class NoRoomError(RecsysError):
    """A file did not fit on the disk; nothing of it was left there."""


@contextmanager
def in_room_of(folder: Path) -> Iterator[None]:
    """Turns the system's refusal of more bytes into one sentence.

    Args:
        folder: where the block writes.

    Raises:
        NoRoomError: there was no room.
    """
    try:
        yield
    except (OSError, pl.exceptions.PolarsError) as error:
        why = _why(error)
        if why is None:
            raise
        raise NoRoomError(
            f"there is no room in {folder} ({why}); make some, or give --out a folder on another disk"
        ) from error


def _why(error: Exception) -> str | None:
    number = getattr(error, "errno", None)
    if number is None:  # polars tells it in words
        number = next((one for one in _FULL if f"os error {one}" in str(error)), None)
    return None if number is None else _FULL.get(number)
