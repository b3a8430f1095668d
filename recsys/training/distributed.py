"""The body's loop on Ray Train: world size, device and shards come from here and nowhere else."""

from __future__ import annotations

import json
import os
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from recsys.allocator import keep_large_blocks
from recsys.cluster import ADDRESS_VARIABLE, ray_cluster
from recsys.errors import ConfigError, DataError, TrainingError
from recsys.experts.body import BodyConfig, BodyExpert, SequenceEncoder
from recsys.training.attributes import ItemAttributes
from recsys.training.body_model import BodyTrainingConfig
from recsys.training.body_start import BodyStart
from recsys.training.loop import World, fit_body
from recsys.training.windows import read_shard, write_shards

_RESULT, _START = "body.safetensors", "start.safetensors"
_PROGRESS = "progress.jsonl"
_POLL_SECONDS = 0.3


@dataclass(frozen=True, slots=True)
class BodyRun:
    """A body fitted on Ray.

    Attributes:
        expert: the fitted body.
        losses: mean training loss of each epoch in nats, worker 0's.
    """

    expert: BodyExpert
    losses: tuple[float, ...]


def fit_body_distributed(
    windows: pl.DataFrame,
    *,
    attributes: ItemAttributes,
    body: BodyConfig,
    config: BodyTrainingConfig,
    workers: int,
    seed: int,
    on_epoch: Callable[[int, float], None],
    start: BodyStart | None = None,
) -> BodyRun:
    """Fits the body with `workers` Ray Train workers on disjoint shards.

    Args:
        windows: what `body_windows` returns.
        attributes: of every item of the vocabulary.
        body: shape of the body.
        config: how to train.
        workers: how many at most (one a window is enough); a GPU each when the machine has them.
        seed: same seed, data, machine and number of workers: same weights.
        on_epoch: told each epoch and its loss as it ends.
        start: what it begins from; None: from nothing.

    Raises:
        ConfigError: this machine has no room for so many workers.
        DataError: there is no window.
        TrainingError: a worker failed; the message says how.
    """
    if windows.is_empty():
        raise DataError("No user has two events for the body to learn from. Import more events.")
    workers = min(workers, len(windows))
    with tempfile.TemporaryDirectory(prefix="recsys-body-") as scratch, ray_cluster():
        folder = Path(scratch)
        settings = {
            "shards": [str(path) for path in write_shards(windows, folder / "shards", workers)],
            "total_events": int(windows["items"].list.len().sum()),
            "attributes": _written(attributes, folder),
            "body": body.model_dump(),
            "training": config.model_dump(),
            "seed": seed,
            "out": str(folder),
            "start": None,
        }
        if start is not None:
            start.save(folder / _START)
            settings["start"] = str(folder / _START)
        losses = _run(settings, workers, folder, on_epoch)
        tensors = load_file(folder / _RESULT)
    encoder = SequenceEncoder(body)
    encoder.load_state_dict(
        {name.removeprefix("encoder."): tensor for name, tensor in tensors.items() if name.startswith("encoder.")}
    )
    return BodyRun(BodyExpert(encoder, tensors["items"]), losses)


def _run(
    settings: dict[str, Any], workers: int, folder: Path, on_epoch: Callable[[int, float], None]
) -> tuple[float, ...]:
    from ray.train import RunConfig, ScalingConfig
    from ray.train.torch import TorchConfig, TorchTrainer

    gpu = torch.cuda.is_available()
    _check_room(workers, "GPU" if gpu else "CPU")
    trainer = TorchTrainer(
        train_worker,
        train_loop_config=settings,
        scaling_config=ScalingConfig(num_workers=workers, use_gpu=gpu),
        torch_config=TorchConfig(backend="nccl" if gpu else "gloo"),
        run_config=RunConfig(name="body", storage_path=str(folder / "ray")),
    )
    watcher = _ProgressWatcher(folder / _PROGRESS, on_epoch)
    with watcher:
        try:
            trainer.fit()
        except Exception as error:
            raise TrainingError(
                f"A training worker failed: {_root_cause(error)}. Nothing was registered. "
                "Lower body_training.batch_events or workers when memory ran out."
            ) from error
    return tuple(watcher.losses)


def _check_room(workers: int, resource: str) -> None:
    """Ray waits without end for workers that this machine has no room for; a cluster that was joined may grow."""
    import ray

    room = int(ray.cluster_resources().get(resource, 0))  # type: ignore[no-untyped-call]
    if workers > room and not os.environ.get(ADDRESS_VARIABLE):
        raise ConfigError(f"workers is {workers}, and this machine has {room} {resource}s: set it to {room} at most.")


def train_worker(settings: dict[str, Any]) -> None:
    """What each Ray Train worker runs."""
    from ray import train

    torch.set_num_threads(1)
    keep_large_blocks()
    context = train.get_context()
    body = BodyConfig(**settings["body"])
    world = World(context.get_world_rank(), context.get_world_size(), train.torch.get_device())
    progress = Path(settings["out"]) / _PROGRESS

    def report(epoch: int, loss: float) -> None:
        if world.rank == 0:
            with progress.open("a") as lines:
                lines.write(json.dumps({"epoch": epoch, "loss": loss}) + "\n")

    fitted = fit_body(
        read_shard(Path(settings["shards"][world.rank]), body.length),
        total_events=settings["total_events"],
        attributes=_read(Path(settings["attributes"])),
        body=body,
        config=BodyTrainingConfig(**settings["training"]),
        world=world,
        seed=settings["seed"],
        on_epoch=report,
        start=None if settings["start"] is None else BodyStart.load(Path(settings["start"])),
    )
    if fitted is not None:
        tensors = {"items": fitted.items, **{f"encoder.{name}": value for name, value in fitted.encoder.items()}}
        save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, Path(settings["out"]) / _RESULT)


def _written(attributes: ItemAttributes, folder: Path) -> str:
    path = folder / "attributes.safetensors"
    tensors = {"offsets": torch.tensor(attributes.offsets), "values": torch.tensor(attributes.values)}
    save_file(tensors, path, {"names": json.dumps(attributes.names)})
    return str(path)


def _read(path: Path) -> ItemAttributes:
    with safe_open(path, framework="pt") as stored:
        names = json.loads(stored.metadata()["names"])
        return ItemAttributes(stored.get_tensor("offsets").numpy(), stored.get_tensor("values").numpy(), tuple(names))


class _ProgressWatcher:
    """Reads what worker 0 appends, while the driver waits for Ray."""

    def __init__(self, path: Path, on_epoch: Callable[[int, float], None]) -> None:
        self.losses: list[float] = []
        self._path, self._on_epoch = path, on_epoch
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._drain()

    def _watch(self) -> None:
        while not self._stop.wait(_POLL_SECONDS):
            self._drain()

    def _drain(self) -> None:
        if not self._path.exists():
            return
        lines = self._path.read_text().split("\n")[:-1]
        for line in lines[len(self.losses) :]:
            entry = json.loads(line)
            self.losses.append(entry["loss"])
            self._on_epoch(entry["epoch"], entry["loss"])


def _root_cause(error: BaseException) -> str:
    while error.__cause__ is not None:
        error = error.__cause__
    return str(error).strip().splitlines()[-1] if str(error).strip() else type(error).__name__
