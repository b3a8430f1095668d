"""Runs a plan on Ray Data: partitions that are not there yet go through a pool of actors, each written by its actor.

Contexts come from the offline store as of the plan's moment (`FeastReader.as_of`), which is exact also for events that
were acknowledged after the last materialisation. On several machines all of them must see the workspace's folders.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recsys.batch.plan import BatchPlan, Partition
from recsys.batch.sink import ParquetSink, Written
from recsys.batch.worker import PartitionWorker, partition_table
from recsys.cluster import ray_cluster
from recsys.errors import RecsysError

Progress = Callable[[int, int], None]
"""Called with the number of users done and the number of all users."""


class BatchError(RecsysError):
    """A batch run failed; the partitions finished so far are kept, and the next run goes on from there."""


@dataclass(frozen=True, slots=True)
class BatchRun:
    """A finished run.

    Attributes:
        written: every partition of the plan, in order.
        kept: how many of them were there already.
        manifest: the `_SUCCESS` file.
    """

    written: tuple[Written, ...]
    kept: int
    manifest: Path


def run_plan(
    plan: BatchPlan,
    partitions: Sequence[Partition],
    about: dict[str, object],
    *,
    on_progress: Progress = lambda done, total: None,
    worker: type[Any] = PartitionWorker,
) -> BatchRun:
    """Makes what is missing of a plan and writes `_SUCCESS`. Ray is started only when something is missing.

    Args:
        plan: the run.
        partitions: `plan.partitions(...)`.
        about: goes into `_SUCCESS` as it is.
        on_progress: told as partitions finish.
        worker: the actor's class; it is given the plan.

    Raises:
        ConfigError: the folder holds files that are not a batch's.
        BatchError: an actor failed.
    """
    sink = ParquetSink(plan.out)
    finished = sink.prepare(partitions)
    missing = [partition for partition in partitions if partition.number not in finished]
    total, kept = sum(len(partition.user_ids) for partition in partitions), len(finished)
    done = {written.file: written for written in finished.values()}
    users = sum(written.users for written in done.values())
    on_progress(users, total)
    for written in _made(plan, missing, worker) if missing else ():
        done[written.file] = written
        users += written.users
        on_progress(users, total)
    ordered = tuple(done[partition.file] for partition in partitions)
    return BatchRun(written=ordered, kept=kept, manifest=sink.succeed(ordered, about))


def _made(plan: BatchPlan, partitions: Sequence[Partition], worker: type[Any]) -> Iterator[Written]:
    with ray_cluster():
        import ray
        import ray.data

        _quieten()
        actors = max(1, min(_cpus(), len(partitions)))
        # Blocks made here need no read task: such a task could wait for ever for a CPU that the actors hold.
        blocks = ray.data.from_arrow([partition_table(partition) for partition in partitions])
        made = blocks.map_batches(
            worker,
            fn_constructor_args=(plan,),
            batch_size=None,
            batch_format="pyarrow",
            compute=ray.data.ActorPoolStrategy(size=actors),
            num_cpus=1,
        )
        try:
            for row in made.iter_rows():
                yield Written(**row)
        except RecsysError:
            raise
        except Exception as error:
            raise BatchError(
                f"The batch stopped: {_cause(error)}. What is finished in {plan.out} is kept: run the same command "
                "again to go on."
            ) from error


def _cpus() -> int:
    import ray

    resources: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
    return int(resources.get("CPU", 1))


def _quieten() -> None:
    import ray.data

    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    for name in ("ray.data", "ray"):
        logging.getLogger(name).setLevel(os.environ.get("RECSYS_RAY_LOG_LEVEL", "ERROR"))


def _cause(error: BaseException) -> str:
    """The innermost reason that Ray wrapped, in one line."""
    reason = getattr(error, "cause", None) or error.__cause__
    while reason is not None:
        error, reason = reason, getattr(reason, "cause", None) or reason.__cause__
    lines = [line for line in str(error).strip().splitlines() if line.strip()]
    return lines[-1].strip() if lines else type(error).__name__
