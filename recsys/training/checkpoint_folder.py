"""Checkpoints as folders: one appears whole, or never. Knows sizes and names, not what is in the files."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recsys.durable import TEMPORARY_PREFIX, canonical_json, sync, write_durably
from recsys.failpoints import Failpoint, reached

_ABOUT, _FILES = "checkpoint.json", "files"
_PREFIX = "checkpoint-"
_KEPT = 2
"""The newest, and the one before it should the newest be damaged later."""


@dataclass(frozen=True, slots=True)
class Stored:
    """A whole checkpoint.

    Attributes:
        folder: where its files lie.
        about: what was said of it when it was finished.
    """

    folder: Path
    about: dict[str, Any]

    def files(self, prefix: str) -> list[Path]:
        """Its files whose names begin so, in order."""
        return sorted(self.folder / name for name in self.about[_FILES] if name.startswith(prefix))


@dataclass(frozen=True, slots=True)
class CheckpointFolder:
    """The checkpoints of one fit; every worker has to see the folder under this path.

    Attributes:
        path: where they lie.
    """

    path: Path

    def newest(self) -> Stored | None:
        """The newest that is whole; None when there is none."""
        for folder in sorted(self.path.glob(f"{_PREFIX}*"), reverse=True):
            stored = _read(folder)
            if stored is not None:
                return stored
        return None

    def named(self, name: str) -> Stored | None:
        """The checkpoint of that name; None when it is not there or not whole."""
        return _read(self.path / f"{_PREFIX}{name}")

    def unfinished(self, name: str, attempt: int) -> Path:
        """Where the files of a checkpoint to be are written; `attempt` tells those who might write the same apart."""
        return self.path / f"{TEMPORARY_PREFIX}{name}-{attempt}"

    def clear(self) -> None:
        """Removes what earlier attempts left unfinished."""
        self.path.mkdir(parents=True, exist_ok=True)
        for leftover in self.path.glob(f"{TEMPORARY_PREFIX}*"):
            shutil.rmtree(leftover, ignore_errors=True)

    def finish(self, unfinished: Path, name: str, about: dict[str, Any]) -> None:
        """Makes the files that are on the disk a checkpoint, and removes all but the newest whole one beside it.

        Args:
            unfinished: holds all of its files, each of them synced.
            name: sorts after the names of those before it.
            about: JSON values kept with it.
        """
        sizes = {file.name: file.stat().st_size for file in unfinished.iterdir()}
        write_durably(unfinished / _ABOUT, canonical_json(about | {_FILES: sizes}))
        sync(unfinished)
        reached(Failpoint.TRAIN_CHECKPOINT_WRITTEN)
        place = self.path / f"{_PREFIX}{name}"
        if place.exists():  # damaged, or it was not there when this attempt began
            shutil.rmtree(place)
        unfinished.rename(place)
        sync(self.path)
        reached(Failpoint.TRAIN_CHECKPOINT_IN_PLACE)
        others = [other for other in sorted(self.path.glob(f"{_PREFIX}*"), reverse=True) if other != place]
        kept = [other for other in others if _read(other) is not None][: _KEPT - 1]
        for other in others:
            if other not in kept:
                shutil.rmtree(other, ignore_errors=True)


def _read(folder: Path) -> Stored | None:
    try:
        about = json.loads((folder / _ABOUT).read_bytes())
        sizes = {name: (folder / name).stat().st_size for name in about[_FILES]}
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return Stored(folder, about) if sizes == about[_FILES] else None
