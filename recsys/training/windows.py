"""Sequences cut into windows for the body, the disjoint shards that workers read, and steps of like length."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import torch
from torch import Tensor

from recsys.context.sequences import Sequences, ragged_ranges

_ITEMS, _TIMES = "items", "times"
_LENGTH_NOISE = 20.0


@dataclass(frozen=True, slots=True)
class Windows:
    """Windows side by side.

    Attributes:
        items: (rows, length + 1) int64 item index, left-aligned, 0 = padding.
        times: (rows, length + 1) int64 microseconds.
    """

    items: Tensor
    times: Tensor

    def __len__(self) -> int:
        return len(self.items)

    @property
    def lengths(self) -> Tensor:
        """(rows,) int64 events in each window."""
        return (self.items > 0).sum(1)


def body_windows(sequences: Sequences, length: int) -> pl.DataFrame:
    """Every event of every sequence as a target once: windows of at most length + 1 events, the newest window full.

    Returns:
        Columns items and times, lists; one row a window. Neighbouring windows share one event.
    """
    starts, stops = [], []
    for start, end in zip(sequences.offsets[:-1].tolist(), sequences.offsets[1:].tolist(), strict=True):
        stop = end
        while stop - start > 1:
            begin = max(start, stop - length - 1)
            starts.append(begin)
            stops.append(stop)
            stop = begin + 1
    sizes = np.array(stops, dtype=np.int64) - np.array(starts, dtype=np.int64)
    flat = ragged_ranges(np.array(starts, dtype=np.int64), sizes)
    window = np.repeat(np.arange(len(sizes)), sizes)
    frame = pl.DataFrame({"window": window, _ITEMS: sequences.items[flat], _TIMES: sequences.times[flat]})
    return frame.group_by("window", maintain_order=True).agg(_ITEMS, _TIMES).drop("window")


def dealt(windows: pl.DataFrame, workers: int) -> list[pl.DataFrame]:
    """Disjoint shares, one a worker, each with as many long windows and as many short ones as the others.

    Windows are dealt in the order of their lengths: dealt as they come, every second one of somebody's two windows is
    the short one, and a worker would have nothing else.

    Args:
        windows: what `body_windows` returns.
        workers: how many.
    """
    by_length = np.argsort(windows[_ITEMS].list.len().to_numpy(), kind="stable")
    return [windows[np.sort(by_length[rank::workers])] for rank in range(workers)]


def write_shards(windows: pl.DataFrame, folder: Path, workers: int) -> list[Path]:
    """Writes disjoint shards, one parquet file a worker."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for rank, share in enumerate(dealt(windows, workers)):
        path = folder / f"shard-{rank:03d}-of-{workers:03d}.parquet"
        share.write_parquet(path)
        paths.append(path)
    return paths


def read_shard(path: Path, length: int) -> Windows:
    """One worker's windows."""
    return as_tensors(pl.read_parquet(path), length)


def as_tensors(frame: pl.DataFrame, length: int) -> Windows:
    """What `body_windows` returns, side by side."""
    sizes = frame[_ITEMS].list.len().to_numpy().astype(np.int64)
    rows = np.repeat(np.arange(len(sizes)), sizes)
    at = (rows, ragged_ranges(np.zeros(len(sizes), np.int64), sizes))
    padded = []
    for column in (_ITEMS, _TIMES):
        filled = np.zeros((len(sizes), length + 1), dtype=np.int64)
        filled[at] = frame[column].explode().to_numpy()
        padded.append(torch.from_numpy(filled))
    return Windows(*padded)


def ranks_of_an_epoch(steps: int, seed: int) -> Tensor:
    """(steps,) float64 from 0 up to 1: which of its own steps, by the length of their windows, a worker takes when.

    The same for all workers, so that nobody waits at each step for one whose windows are longer.

    Args:
        steps: how many an epoch has.
        seed: of this epoch.
    """
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randperm(steps, generator=generator).double()
    return (drawn + torch.rand(1, generator=generator, dtype=torch.float64)) / steps


def steps_of_an_epoch(lengths: Tensor, events: int, ranks: Tensor, generator: torch.Generator) -> list[Tensor]:
    """Which windows each step of an epoch takes: every one once, of like length, about `events` events a step.

    Args:
        lengths: (rows,) events in each window.
        events: how many a step, about.
        ranks: what `ranks_of_an_epoch` gives.
        generator: source of this worker's randomness.

    Returns:
        A tensor of row numbers for each of `ranks`; a worker with less to do repeats itself, one with more leaves the
        steps over for another epoch.
    """
    shuffled = torch.randperm(len(lengths), generator=generator)
    noise = torch.rand(len(lengths), generator=generator) * _LENGTH_NOISE
    order = shuffled[torch.argsort(lengths[shuffled] + noise, stable=True)]
    step = (lengths[order].cumsum(0) - 1) // events
    found = torch.split(order, torch.unique_consecutive(step, return_counts=True)[1].tolist())
    return [found[min(int(rank * len(found)), len(found) - 1)] for rank in ranks.tolist()]
