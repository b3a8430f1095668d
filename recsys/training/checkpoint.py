"""Checkpoints of the body's fit: all workers write one together, and any number of workers goes on from it.

With as many workers as wrote it the fit goes on bit by bit as if nothing had happened: weights, both optimisers'
moments, step sizes, sources of randomness and the place in the epoch are kept. With another number each worker has
another share of the windows, so the rest of that epoch is in another order.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from pathlib import Path

import torch
import torch.distributed as dist
from safetensors.torch import load_file, save_file
from torch import Tensor

from recsys.durable import sync
from recsys.failpoints import Failpoint, reached
from recsys.training.checkpoint_folder import CheckpointFolder, Stored
from recsys.training.fit_state import FitState, Place
from recsys.training.table_rows import as_tensors, own_rows, take_rows
from recsys.training.world import World

_DENSE, _RANDOM, _TABLES = "dense.safetensors", "random-{:05d}.safetensors", "tables-{:05d}.safetensors"
_NAME = "{:05d}-{:09d}"
"""Epoch and step: what is further sorts later."""


class Checkpoints:
    """One worker's view of the checkpoints of a fit. Every worker must make each call.

    Args:
        folder: where they lie, the same for all workers.
        world: this worker's place.
        minutes: how long after the last one the next is due.
    """

    def __init__(self, folder: Path, world: World, minutes: float) -> None:
        self._folder, self._world, self._seconds = CheckpointFolder(folder), world, 60 * minutes
        if world.rank == 0:
            self._folder.clear()
        self._attempt = self._told(secrets.randbits(62))
        self._last = time.monotonic()

    def due(self) -> bool:
        """Whether it is time for one, by worker 0's clock."""
        return bool(self._told(int(time.monotonic() - self._last >= self._seconds)))

    def restore(self, state: FitState, seed: int) -> Place | None:
        """Puts the newest whole checkpoint into a fit that has not begun.

        Args:
            state: of the fit, every parameter in its place.
            seed: of what cannot go on as it was, with another number of workers.

        Returns:
            How far that checkpoint was; None when there is none.
        """
        stored = self._chosen()
        if stored is None:
            return None
        about, rank = stored.about, self._world.rank
        take_rows(own_rows(state.sharded), stored.files("tables-"))
        state.take_dense(load_file(stored.folder / _DENSE), about)
        if about["workers"] == self._world.size:
            state.take_random(load_file(stored.folder / _RANDOM.format(rank)))
        else:
            anew = seed + 10_000 * (about["epoch"] + 1) + about["step"] + rank
            torch.manual_seed(anew)
            state.order.manual_seed(anew)
        self._last = time.monotonic()
        return _place(stored, state.order.get_state(), rank)

    def write(self, state: FitState, place: Place) -> None:
        """Writes one; when this returns it is on the disk."""
        rank, name = self._world.rank, _NAME.format(place.epoch, place.step)
        folder = self._folder.unfinished(name, self._attempt)
        if rank == 0:
            folder.mkdir(parents=True)
        dist.barrier()
        rows, first = as_tensors(own_rows(state.sharded))
        _save(rows, folder / _TABLES.format(rank), first)
        _save(state.random_tensors(place), folder / _RANDOM.format(rank))
        if rank == 0:
            _save(state.dense_tensors(), folder / _DENSE)
        reached(Failpoint.TRAIN_CHECKPOINT_PART_WRITTEN)
        dist.barrier()
        if rank == 0:
            self._folder.finish(folder, name, _about(place, self._world.size) | state.settings())
        self._last = time.monotonic()

    def _chosen(self) -> Stored | None:
        """The newest that worker 0 sees."""
        newest = self._folder.newest() if self._world.rank == 0 else None
        epoch = self._told(newest.about["epoch"] if newest else 0)
        step = self._told(newest.about["step"] if newest else 0)
        return self._folder.named(_NAME.format(epoch, step)) if epoch else None

    def _told(self, value: int) -> int:
        """Worker 0's value, on every worker."""
        if self._world.size == 1:
            return value
        told = torch.tensor([value], device=self._world.device)
        dist.broadcast(told, 0)
        return int(told)


def _about(place: Place, workers: int) -> dict[str, object]:
    return {
        "workers": workers,
        "epoch": place.epoch,
        "step": place.step,
        "loss": place.loss,
        "events": place.events,
        "losses": list(place.losses),
    }


def _place(stored: Stored, order: Tensor, rank: int) -> Place:
    """The place that a checkpoint was written at; only worker 0 knows how the epoch under way went so far."""
    about = stored.about
    done = {"loss": about["loss"], "events": about["events"]} if rank == 0 else {}
    return Place(order, about["epoch"], about["step"], losses=tuple(about["losses"]), **done)


def _save(tensors: Mapping[str, Tensor], path: Path, metadata: dict[str, str] | None = None) -> None:
    save_file({name: tensor.cpu().contiguous() for name, tensor in tensors.items()}, path, metadata)
    sync(path)
