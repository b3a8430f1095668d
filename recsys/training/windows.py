"""Sequences cut into windows for the body, and the disjoint shards that workers read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

from recsys.context.sequences import Sequences, ragged_ranges

_COLUMN = "items"


def body_windows(sequences: Sequences, length: int) -> list[np.ndarray]:
    """Every event of every sequence as a target once: windows of at most length + 1 events, the newest window full.

    Returns:
        One int64 array of item indices a window; neighbouring windows share one event.
    """
    windows: list[np.ndarray] = []
    for start, end in zip(sequences.offsets[:-1], sequences.offsets[1:], strict=True):
        stop = int(end)
        while stop - start > 1:
            begin = max(int(start), stop - length - 1)
            windows.append(sequences.items[begin:stop])
            stop = begin + 1
    return windows


def write_shards(windows: list[np.ndarray], folder: Path, workers: int) -> list[Path]:
    """Writes disjoint shards, one parquet file a worker: worker r gets every workers-th window from r on."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for rank in range(workers):
        path = folder / f"shard-{rank:03d}-of-{workers:03d}.parquet"
        frame = pl.DataFrame({_COLUMN: [window.tolist() for window in windows[rank::workers]]})
        frame.cast({_COLUMN: pl.List(pl.Int64)}).write_parquet(path)
        paths.append(path)
    return paths


def read_shard(path: Path, length: int) -> np.ndarray:
    """(rows, length + 1) int64 item index, left-aligned, 0 = padding."""
    column = pl.read_parquet(path)[_COLUMN]
    sizes = column.list.len().to_numpy().astype(np.int64)
    padded = np.zeros((len(sizes), length + 1), dtype=np.int64)
    rows = np.repeat(np.arange(len(sizes)), sizes)
    padded[rows, ragged_ranges(np.zeros(len(sizes), np.int64), sizes)] = column.explode().to_numpy()
    return padded
