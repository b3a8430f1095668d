"""What a Ray Data actor does: opens the model and the feature store once, then makes one partition after another."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import polars as pl
import pyarrow as pa

from recsys import columns
from recsys.allocator import keep_large_blocks
from recsys.batch.forgetting import still_stored
from recsys.batch.plan import BatchPlan, Partition
from recsys.batch.scoring import score_users
from recsys.batch.sink import PartitionSink, Written
from recsys.errors import RecsysError
from recsys.training.machine_memory import available_memory
from recsys.workspace import Workspace

_SHARE_FOR_BLOCKS = 0.25
"""Of the memory that is left, for the blocks of all actors of a machine together."""
_ASKED = pa.schema(
    [("number", pa.int64()), ("user_ids", pa.list_(pa.string())), ("key", pa.string()), ("suffix", pa.string())]
)
_MADE = pa.schema(
    [
        ("file", pa.string()),
        ("users", pa.int64()),
        ("rows", pa.int64()),
        ("unknown_users", pa.int64()),
        ("future_users", pa.int64()),
        ("key", pa.string()),
        ("failure", pa.string()),
    ]
)


class PartitionMaker(Protocol):
    """Makes partitions of the plan it was built with."""

    def make(self, partition: Partition) -> Written:
        """Writes one partition."""
        ...


class RecommendationMaker:
    """Makes partitions with the plan's snapshot and its workspace's feature store.

    Args:
        plan: the run; the snapshot is verified when it is loaded.
    """

    def __init__(self, plan: BatchPlan) -> None:
        import torch

        from recsys.context.reader import FeastReader
        from recsys.registry.loading import load_recommender
        from recsys.registry.snapshot import load_snapshot

        torch.set_num_threads(1)
        keep_large_blocks()
        snapshot = load_snapshot(plan.snapshot, snapshot_hash=plan.snapshot_hash)
        self._plan = plan
        self._recommender = load_recommender(snapshot, plan.model_version).for_many(room_for_blocks())
        workspace = Workspace(name=plan.workspace, home=plan.home)
        self._contexts = FeastReader(workspace, snapshot.schema)
        self._sink = PartitionSink(plan.out, plan.form)
        self._event_log = workspace.event_log

    def make(self, partition: Partition) -> Written:
        """Recommends for the partition's users and writes their file, without those who were deleted meanwhile."""
        plan = self._plan
        scored = score_users(
            partition.user_ids,
            self._contexts,
            self._recommender,
            k=plan.k,
            as_of=plan.as_of,
            latest=plan.latest,
            rules=plan.rules,
        )
        with still_stored(self._event_log, partition.user_ids, plan.log_position) as user_ids:
            kept = scored.frame.filter(pl.col(columns.USER_ID).is_in(user_ids))
            return self._sink.write(partition, kept, scored.unknown_users, scored.future_users)


class PartitionActor:
    """The callable that Ray Data runs. A failure travels back as data: raised here, Ray would bury it in traces.

    Args:
        maker: class of a PartitionMaker, given the plan; built with the first partition.
        plan: the run.
    """

    def __init__(self, maker: type[Any], plan: BatchPlan) -> None:
        self._build: Callable[[], PartitionMaker] = lambda: maker(plan)
        self._maker: PartitionMaker | None = None

    def __call__(self, asked: pa.Table) -> pa.Table:
        """Makes the partitions of one block (`asked_table`); `made_rows` reads what comes back."""
        partitions = [
            Partition(row["number"], tuple(row["user_ids"]), row["key"], row["suffix"]) for row in asked.to_pylist()
        ]
        return pa.Table.from_pylist([self._made(partition) for partition in partitions], schema=_MADE)

    def _made(self, partition: Partition) -> dict[str, object]:
        try:
            self._maker = self._maker or self._build()
            made = self._maker.make(partition)
        except Exception as error:
            kind = "" if isinstance(error, RecsysError) else f"{type(error).__name__}: "
            return {"file": partition.file, "failure": f"{kind}{error}"}
        return {name: getattr(made, name) for name in Written.__slots__}


def room_for_blocks() -> int:
    """Bytes that an actor may take for weights of its own: its part of a quarter of what is left.

    An actor has a processor to itself, so there are at most as many of them as the machine has. Weights that do not
    fit stay mapped from the snapshot, and all actors share them.
    """
    return int(_SHARE_FOR_BLOCKS * available_memory()) // (os.cpu_count() or 1)


def asked_table(partition: Partition) -> pa.Table:
    """One partition as one block of a Ray data set."""
    row = {name: getattr(partition, name) for name in _ASKED.names}
    return pa.Table.from_pylist([row | {"user_ids": list(partition.user_ids)}], schema=_ASKED)


def made_rows(rows: Sequence[dict[str, Any]]) -> tuple[list[Written], str | None]:
    """What actors sent back: the finished partitions, and the first failure if there was one."""
    failure = next((str(row["failure"]) for row in rows if row["failure"] is not None), None)
    finished = [row for row in rows if row["failure"] is None]
    return [Written(**{name: row[name] for name in Written.__slots__}) for row in finished], failure
