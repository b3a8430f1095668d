"""What contestants train on: a workspace made of an import folder, a sample of its users, the file that all read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

from benchmarks.units.files import file_hash
from recsys.context.sequences import Sequences
from recsys.data.importer import read_folder
from recsys.errors import ConfigError
from recsys.jobs.ingest import ingest
from recsys.workspace import Workspace

FIT = "fit.parquet"
SETTINGS = "settings.json"
_EVENTS = "events.parquet"


def workspace_of(folder: Path, work: Path) -> Workspace:
    """The workspace of an import folder; other events, another workspace.

    Args:
        folder: holds events.parquet, and perhaps what is known of users and items.
        work: where workspaces are kept.

    Raises:
        ConfigError: there are no events in the folder.
        DataError: the folder cannot be imported.
    """
    events = folder / _EVENTS
    if not events.is_file():
        raise ConfigError(f"{folder} holds no {_EVENTS}: --data takes a folder that `recsys data import` takes.")
    workspace = Workspace(folder.resolve().name, work / "homes" / file_hash(events)[:16])
    done = workspace.home / "imported"
    if not done.exists():
        ingest(workspace, read_folder(folder))
        done.touch()
    return workspace


def sample(sequences: Sequences, users: int, seed: int) -> Sequences:
    """So many users drawn at random (0: all), of those that have something to predict.

    Args:
        sequences: of everybody.
        users: how many at most.
        seed: of the choice.
    """
    able = np.flatnonzero(sequences.lengths >= 2)
    drawn = np.random.default_rng(seed).permutation(able)[: users or len(able)]
    return sequences.take(np.sort(drawn))


def frame_of(sequences: Sequences) -> pl.DataFrame:
    """Columns user, item, position and validation (nobody's), one row an event, in order."""
    return pl.DataFrame(
        {
            "user": sequences.owners,
            "item": sequences.items,
            "position": sequences.positions,
            "validation": np.zeros(len(sequences.items), dtype=bool),
        }
    )


def sequences_of(frame: pl.DataFrame) -> Sequences:
    """The inverse of `frame_of`; ids, times and values are not in the file and say nothing."""
    counts = frame.group_by("user", maintain_order=True).len()
    return Sequences(
        user_ids=tuple(map(str, counts["user"])),
        offsets=np.concatenate([[0], counts["len"].to_numpy().astype(np.int64).cumsum()]),
        items=frame["item"].to_numpy(),
        times=frame["position"].to_numpy().astype(np.int64),
        values=np.ones(len(frame), np.float32),
    )


def targets_of(sequences: Sequences) -> int:
    """Events that an epoch of our body predicts: all but each user's first."""
    return int(np.maximum(sequences.lengths - 1, 0).sum())
