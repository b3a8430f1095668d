"""What a peer is handed: everybody's events as numbers, and the settings of the comparison."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

from benchmarks.units.files import write_json
from recsys.context.sequences import Sequences


def hand_over(folder: Path, sequences: Sequences, settings: dict[str, object]) -> Path:
    """Writes a peer's folder (benchmarks/peers/rounds.py).

    Args:
        folder: where to; made.
        sequences: everybody's events.
        settings: what the peer is told.
    """
    folder.mkdir(parents=True)
    frame = pl.DataFrame(
        {"user": sequences.owners, "item": sequences.items, "position": sequences.positions},
        schema={"user": pl.Int64, "item": pl.Int64, "position": pl.Int64},
    )
    frame.write_parquet(folder / "events.parquet")
    write_json(folder / "settings.json", settings)
    return folder


def first_users(sequences: Sequences, number: int | None) -> Sequences:
    """The sequences of so many users with events; None: of all of them."""
    users = np.flatnonzero(sequences.lengths > 0)
    return sequences.take(users if number is None else users[:number])
