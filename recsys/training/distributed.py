"""The body's loop on Ray Train: world size, device and shards come from here and nowhere else.

A worker that is lost takes its group with it; Ray starts another group, which goes on from the last whole checkpoint.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import torch

from recsys.allocator import keep_large_blocks
from recsys.cluster import ADDRESS_VARIABLE, ray_cluster
from recsys.errors import ConfigError, DataError, RecsysError, TrainingError, last_line
from recsys.experts.body import BodyConfig, BodyExpert
from recsys.failpoints import Failpoint, reached
from recsys.training.attributes import ItemAttributes
from recsys.training.body_files import BodyFiles
from recsys.training.body_model import BodyTrainingConfig
from recsys.training.body_start import BodyStart
from recsys.training.checkpoint import Checkpoints
from recsys.training.epoch_losses import LossWatcher
from recsys.training.loop import fit_body
from recsys.training.world import World


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
    kept: Path | None = None,
) -> BodyRun:
    """Fits the body with `workers` Ray Train workers on disjoint shards.

    Args:
        windows: what `body_windows` returns.
        attributes: of every item of the vocabulary.
        body: shape of the body.
        config: how to train.
        workers: how many at most (one a window is enough); a GPU each where there are as many.
        seed: same seed, data, machine and number of workers: same weights.
        on_epoch: told each epoch and its loss as it ends.
        start: what it begins from; None: from nothing.
        kept: a folder that outlives this process, visible to every worker: what lies there of an earlier call with the
            same arguments (`workers` aside) is gone on from. None: only workers can be lost, not this process.

    Raises:
        ConfigError: this machine has no room for so many workers.
        DataError: there is no window.
        TrainingError: the loss is not finite, or workers failed too often; the message says how.
    """
    if windows.is_empty():
        raise DataError("No user has two events for the body to learn from. Import more events.")
    workers = min(workers, len(windows))
    with _folder(kept) as folder:
        files = BodyFiles(folder)
        tensors = files.given()
        with LossWatcher(files.losses, on_epoch):
            if tensors is None:
                settings = {"body": body.model_dump(), "training": config.model_dump(), "seed": seed}
                files.hand_out(windows, workers, attributes, start, settings)
                with ray_cluster():
                    _run(files, workers, config.restarts)
                tensors = files.given()
        assert tensors is not None
        files.keep_only_the_body()
        losses = files.losses.read()
    reached(Failpoint.TRAIN_BODY_FITTED)
    return BodyRun(BodyExpert.rebuild(body.model_dump(), tensors), losses)


@contextmanager
def _folder(kept: Path | None) -> Iterator[Path]:
    if kept is None:
        with tempfile.TemporaryDirectory(prefix="recsys-body-") as scratch:
            yield Path(scratch)
    else:
        kept.mkdir(parents=True, exist_ok=True)
        yield kept


def _run(files: BodyFiles, workers: int, restarts: int) -> None:
    from ray.train import FailureConfig, RunConfig, ScalingConfig
    from ray.train.torch import TorchConfig, TorchTrainer

    gpu = workers_have_gpus(workers)
    _check_room(workers, "GPU" if gpu else "CPU")
    trainer = TorchTrainer(
        train_worker,
        train_loop_config={"folder": str(files.folder)},
        scaling_config=ScalingConfig(num_workers=workers, use_gpu=gpu),
        torch_config=TorchConfig(backend="nccl" if gpu else "gloo"),
        run_config=RunConfig(
            name="body", storage_path=str(files.of_ray), failure_config=FailureConfig(max_failures=restarts)
        ),
    )
    try:
        trainer.fit()
    except Exception as error:
        raise TrainingError(
            f"A training worker failed: {files.refusal() or _root_cause(error)}. Nothing was registered. "
            "Lower body_training.batch_events or workers when memory ran out."
        ) from error
    why = files.refusal()
    if why is not None:
        raise TrainingError(why)


def workers_have_gpus(workers: int) -> bool:
    """Whether each gets a GPU: where this machine has any, or a joined cluster one each; Ray waits for more forever."""
    if os.environ.get(ADDRESS_VARIABLE):
        return _there_are("GPU") >= workers
    return torch.cuda.is_available()


def _there_are(resource: str) -> int:
    import ray

    return int(ray.cluster_resources().get(resource, 0))  # type: ignore[no-untyped-call]


def _check_room(workers: int, resource: str) -> None:
    """Ray waits without end for workers that this machine has no room for; a cluster that was joined may grow."""
    room = _there_are(resource)
    if workers > room and not os.environ.get(ADDRESS_VARIABLE):
        raise ConfigError(f"workers is {workers}, and this machine has {room} {resource}s: set it to {room} at most.")


def train_worker(told: dict[str, str]) -> None:
    """What each Ray Train worker runs, and runs again when one of them was lost."""
    from ray import train

    files = BodyFiles(Path(told["folder"]))
    if files.refusal() is not None:
        return
    torch.set_num_threads(1)
    keep_large_blocks()
    context = train.get_context()
    world = World(context.get_world_rank(), context.get_world_size(), train.torch.get_device())
    try:
        _fit(files, world)
    except RecsysError as error:  # it would come to the same again
        files.refuse(str(error))
        raise


def _fit(files: BodyFiles, world: World) -> None:
    settings, losses = files.settings(), list[float]()

    def report(epoch: int, loss: float) -> None:
        losses.append(loss)
        if world.rank == 0:
            files.losses.write(losses)

    body, config = BodyConfig(**settings["body"]), BodyTrainingConfig(**settings["training"])
    fitted = fit_body(
        files.windows(world.rank, body.length),
        total_events=settings["total_events"],
        attributes=files.attributes(),
        body=body,
        config=config,
        world=world,
        seed=settings["seed"],
        on_epoch=report,
        start=files.start() if settings["begins"] else None,
        checkpoints=Checkpoints(files.checkpoints, world, config.checkpoint_minutes),
    )
    if fitted is not None:
        files.give(fitted.tensors())


def _root_cause(error: BaseException) -> str:
    while error.__cause__ is not None:
        error = error.__cause__
    return last_line(error)
