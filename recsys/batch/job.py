"""Runs a plan on Ray Data: partitions that are not there yet go through a pool of actors, each written by its actor.

Where actors are lost, as with a machine, the plan is taken up again with what is left, a few times.

Contexts come from the offline store as of the plan's moment (`FeastReader.as_of`), which is exact also for events that
were acknowledged after the last materialisation. On several machines all of them must see the workspace's folders.
"""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from recsys.batch.plan import BatchPlan, Partition
from recsys.batch.room import NoRoomError
from recsys.batch.sink import PartitionSink, Written
from recsys.batch.worker import PartitionActor, RecommendationMaker, asked_table, made_rows
from recsys.cluster import ray_cluster
from recsys.errors import RecsysError, last_line

Progress = Callable[[int, int], None]
"""Called with the number of users done and the number of all users."""
LOSSES = 3
"""How often a run goes on after it has lost actors, be it with their machine."""
_log = logging.getLogger(__name__)


class Asked(Protocol):
    """Partitions that can be gone through again and again: a plan's `Partitions`."""

    def __iter__(self) -> Iterator[Partition]: ...

    def __len__(self) -> int: ...


class BatchError(RecsysError):
    """A batch run failed; the partitions finished so far are kept, and the next run goes on from there."""


class _ActorsLostError(Exception):
    """Ray lost actors; what they had not finished can be made by others."""


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
    partitions: Asked,
    about: dict[str, object],
    *,
    on_progress: Progress = lambda done, total: None,
    maker: type[Any] = RecommendationMaker,
) -> BatchRun:
    """Makes what is missing of a plan and writes `_SUCCESS`. Ray is started only when something is missing.

    Args:
        plan: the run.
        partitions: `plan.partitions(...)`.
        about: goes into `_SUCCESS` as it is.
        on_progress: told as partitions finish.
        maker: class of the `PartitionMaker` that the actors use.

    Raises:
        ConfigError: the folder holds files that are not a batch's, or another batch wrote into it meanwhile.
        RegistryError: another run is at this folder.
        BatchError: an actor failed, actors were lost more than LOSSES times, or the disk is full.
    """
    sink = PartitionSink(plan.out, plan.form)
    try:
        with sink.alone():
            done = _by_file(sink, partitions)
            total, kept = sum(len(partition.user_ids) for partition in partitions), len(done)
            users = _users(done)
            on_progress(users, total)
            for losses_left in range(LOSSES, -1, -1):
                missing = (partition for partition in partitions if partition.file not in done)
                try:
                    with closing(_made(plan, missing, len(partitions) - len(done), maker)) as made:
                        for written in made:
                            done[written.file] = written
                            users += written.users
                            on_progress(users, total)
                except _ActorsLostError as error:
                    if not losses_left:
                        raise _stopped(str(error), plan) from error
                    _log.warning("actors were lost, going on with those that are left: %s", error)
                    done = _by_file(sink, partitions)
                    users = _users(done)
                else:
                    break
            ordered = tuple(sorted(done.values(), key=lambda written: (len(written.file), written.file)))
            manifest = sink.succeed(ordered, about)
    except NoRoomError as error:
        raise _stopped(str(error), plan) from error
    return BatchRun(written=ordered, kept=kept, manifest=manifest)


def _by_file(sink: PartitionSink, partitions: Asked) -> dict[str, Written]:
    """What is there and true, by the file's name."""
    return {written.file: written for written in sink.prepare(partitions).values()}


def _users(done: Mapping[str, Written]) -> int:
    return sum(written.users for written in done.values())


def _made(plan: BatchPlan, partitions: Iterable[Partition], count: int, maker: type[Any]) -> Generator[Written]:
    if not count:
        return
    with ray_cluster():
        import ray
        import ray.data

        _quieten()
        actors = max(1, min(_cpus(), count))
        # Blocks made here need no read task: such a task could wait for ever for a CPU that the actors hold.
        # Put there one by one they wait in Ray's store, which goes over to disk, and not in this process.
        blocks = ray.data.from_arrow_refs(_put(partitions))
        with warnings.catch_warnings():
            # Ray has no other way yet to say that an actor is not restarted; a restartable one prints an error line.
            warnings.simplefilter("ignore", DeprecationWarning)
            made = blocks.map_batches(
                PartitionActor,
                fn_constructor_args=(maker, plan),
                batch_size=None,
                batch_format="pyarrow",
                compute=ray.data.ActorPoolStrategy(size=actors),
                num_cpus=1,
                max_restarts=0,
            )
        for row in _rows(made, plan):
            written, failure = made_rows([row])
            if failure is not None:
                raise _stopped(failure, plan)
            yield from written


def _put(partitions: Iterable[Partition]) -> list[Any]:
    import ray

    return [ray.put(asked_table(partition)) for partition in partitions]


def _rows(made: Any, plan: BatchPlan) -> Iterator[dict[str, Any]]:
    """Rows as actors send them; what Ray itself raises becomes one sentence.

    Raises:
        _ActorsLostError: a process or its machine is gone.
        BatchError: whatever else Ray stumbled over.
    """
    from ray.exceptions import RayError, RayTaskError

    rows = iter(made.iter_rows())
    while True:
        try:
            row = next(rows)
        except StopIteration:
            return
        except Exception as error:
            why = f"{type(error).__name__}: {last_line(error)}"
            if isinstance(error, RayError) and not isinstance(error, RayTaskError):
                raise _ActorsLostError(why) from error
            raise _stopped(why, plan) from error
        yield row


def _stopped(why: str, plan: BatchPlan) -> BatchError:
    return BatchError(
        f"The batch stopped: {why.rstrip('.')}. What is finished in {plan.out} is kept: run the same command again to "
        f"go on, with --as-of {plan.moment} where events have come since."
    )


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
