"""Large point-in-time joins in shards: each shard's users in a Ray task of its own, with a DuckDB of its own.

Feast's own Ray engine loses rows; this one splits the entities, runs Feast's DuckDB join on each part and counts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import polars as pl
import pyarrow as pa

from recsys import columns
from recsys.cluster import ray_cluster
from recsys.context.feast_calls import quieten
from recsys.context.joins import check_complete, point_in_time_join
from recsys.errors import FeatureStoreError, last_line

if TYPE_CHECKING:
    from feast import FeatureStore

RETRIES = 3
"""How often a task that failed or whose process died is tried again."""

_SHARD = "shard"


def join_in_shards(configuration: Path, entities: pl.DataFrame, references: Sequence[str], shards: int) -> pl.DataFrame:
    """`point_in_time_join`, shard by shard.

    Args:
        configuration: feature_store.yaml; every machine of the cluster must see it and the offline rows under one path.
        entities: `asked`, distinct numbers; user_id; event_timestamp.
        references: the features, `view:feature` each.
        shards: how many; a task holds one of them in memory.

    Returns:
        `entities` and the features, in any order.

    Raises:
        FeatureStoreError: a shard failed again and again, or rows were lost.
        ClusterError: Ray could not be started or joined.
    """

    def task(shard: pa.Table) -> pa.Table:
        return _joined(configuration, shard, tuple(references))

    found = pl.concat(run_shards(task, by_user(entities, shards)))
    check_complete(entities, found)
    return found


def by_user(entities: pl.DataFrame, shards: int) -> list[pl.DataFrame]:
    """The entities in parts that are not empty; all rows of a user in one, the same one in every process."""
    numbers = pd.util.hash_array(entities[columns.USER_ID].to_numpy().astype(object)) % shards
    return entities.with_columns(pl.Series(_SHARD, numbers)).partition_by(_SHARD, include_key=False)


def run_shards(task: Callable[[pa.Table], pa.Table], parts: Sequence[pl.DataFrame]) -> list[pl.DataFrame]:
    """Runs the task on each part, as many at a time as there are cores; results come in any order.

    Raises:
        FeatureStoreError: a part failed more than RETRIES times, or returned other rows than it was given.
    """
    import ray

    with ray_cluster():
        remote = ray.remote(num_cpus=1, max_retries=RETRIES, retry_exceptions=True)(task)
        at_once = max(int(ray.cluster_resources().get("CPU", 1)), 1)  # type: ignore[no-untyped-call]
        waiting, done = list(parts), []
        running: dict[ray.ObjectRef[pa.Table], pl.DataFrame] = {}
        while waiting or running:
            while waiting and len(running) < at_once:
                part = waiting.pop()
                running[remote.remote(part.to_arrow())] = part
            ready, _ = ray.wait(list(running), num_returns=1)
            part = running.pop(ready[0])
            try:
                found = pl.DataFrame(pl.from_arrow(ray.get(ready[0])))
            except ray.exceptions.RayError as error:
                raise FeatureStoreError(
                    f"A shard of a point-in-time join ({part.height} moments) failed {RETRIES + 1} times: "
                    f"{last_line(error)}. With more join_shards each needs less memory."
                ) from error
            check_complete(part, found)
            done.append(found)
        return done


def _joined(configuration: Path, shard: pa.Table, references: tuple[str, ...]) -> pa.Table:
    entities = pl.DataFrame(pl.from_arrow(shard))
    return point_in_time_join(_store(configuration), entities, references).to_arrow()


@lru_cache(maxsize=1)
def _store(configuration: Path) -> FeatureStore:
    """One a worker process: importing Feast takes seconds."""
    from feast import FeatureStore

    quieten()
    return FeatureStore(fs_yaml_file=configuration)
