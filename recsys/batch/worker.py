"""The Ray Data actor: opens the model and the feature store once, then makes one partition after another."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from recsys.batch.plan import BatchPlan, Partition
from recsys.batch.scoring import score_users
from recsys.batch.sink import ParquetSink, Written
from recsys.workspace import Workspace

PARTITION_SCHEMA = pa.schema([("number", pa.int64()), ("user_ids", pa.list_(pa.string())), ("key", pa.string())])


class PartitionWorker:
    """Makes partitions of one plan.

    Args:
        plan: the run; the snapshot is verified when it is loaded.
    """

    def __init__(self, plan: BatchPlan) -> None:
        import torch

        from recsys.context.reader import FeastReader
        from recsys.registry.loading import load_recommender
        from recsys.registry.snapshot import load_snapshot

        torch.set_num_threads(1)
        snapshot = load_snapshot(plan.snapshot, snapshot_hash=plan.snapshot_hash)
        self._plan = plan
        self._recommender = load_recommender(snapshot, plan.model_version)
        self._contexts = FeastReader(Workspace(name=plan.workspace, home=plan.home), snapshot.schema)
        self._sink = ParquetSink(plan.out)

    def __call__(self, partitions: pa.Table) -> pa.Table:
        """Makes these partitions; columns of PARTITION_SCHEMA in, fields of `Written` out."""
        written = [self._made(Partition(p["number"], tuple(p["user_ids"]), p["key"])) for p in partitions.to_pylist()]
        return written_table(written)

    def _made(self, partition: Partition) -> Written:
        plan = self._plan
        scored = score_users(partition.user_ids, self._contexts, self._recommender, k=plan.k, as_of=plan.as_of)
        return self._sink.write(partition, scored.frame, scored.unknown_users)


def partition_table(partition: Partition) -> pa.Table:
    """One partition as one block of a Ray data set."""
    row = {"number": partition.number, "user_ids": list(partition.user_ids), "key": partition.key}
    return pa.Table.from_pylist([row], schema=PARTITION_SCHEMA)


def written_table(written: list[Written]) -> pa.Table:
    """Finished partitions as what an actor returns."""
    fields: list[dict[str, Any]] = [
        {"file": w.file, "users": w.users, "rows": w.rows, "unknown_users": w.unknown_users, "key": w.key}
        for w in written
    ]
    return pa.Table.from_pylist(fields)
