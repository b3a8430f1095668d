"""Point-in-time joins in Ray shards: the same rows as without, none lost, a killed task is run again."""

import os

import numpy as np
import polars as pl
import pytest

from recsys.context.engine import settings_file
from recsys.context.joins import check_complete
from recsys.context.sharding import RETRIES, by_user, run_shards
from recsys.errors import FeatureStoreError
from recsys.jobs.materialise import materialise

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def cluster():
    from recsys.cluster import ray_cluster

    with ray_cluster():
        yield


def asked(users):
    return pl.DataFrame({"asked": range(len(users)), "user_id": users})


def test_a_user_has_one_shard_whoever_asks_and_every_row_is_in_one():
    users = [f"user {number % 40}" for number in range(200)]
    parts = by_user(asked(users), 7)
    assert 1 < len(parts) <= 7
    assert sorted(number for part in parts for number in part["asked"]) == list(range(200))
    homes = [set(part["user_id"]) for part in parts]
    assert sum(len(home) for home in homes) == 40
    again = by_user(asked(users[::-1]), 7)
    assert {frozenset(home) for home in homes} == {frozenset(part["user_id"]) for part in again}


def test_joins_in_shards_give_the_rows_of_one_join_in_the_order_asked(cluster, world, monkeypatch):
    from recsys.context.reader import FeastReader

    rng = np.random.default_rng(3)
    world.append(*[(f"u{rng.integers(0, 9)}", f"i{rng.integers(0, 5)}", int(rng.integers(0, 50))) for _ in range(120)])
    materialise(world.workspace)
    users = [f"u{number}" for number in rng.integers(0, 11, 300)]
    moments = [int(moment) for moment in rng.integers(-2, 55, 300)]
    plain = FeastReader(world.workspace, world.schema)
    expected = plain.as_of(users, moments)
    settings_file(world.workspace).write_text("join_shards = 4\n")
    monkeypatch.setattr("recsys.context.user_store.SHARDED_FROM", 1)
    monkeypatch.setattr("recsys.context.user_store.point_in_time_join", lambda *_: pytest.fail("joined in one piece"))
    sharded = FeastReader(world.workspace, world.schema)
    assert sharded.as_of(users, moments) == expected


def test_a_task_whose_process_is_killed_is_run_again(cluster, tmp_path):
    marks = str(tmp_path)

    def dies_once(shard):
        mark = os.path.join(marks, str(shard["asked"][0].as_py()))
        if not os.path.exists(mark):
            open(mark, "w").close()
            os.kill(os.getpid(), 9)
        return shard

    found = run_shards(dies_once, [asked(["a", "b"]), asked(["c"]).with_columns(asked=pl.lit(2, pl.Int64))])
    assert sorted(pl.concat(found)["user_id"]) == ["a", "b", "c"]
    assert len(list(tmp_path.iterdir())) == 2


def test_a_task_that_fails_is_run_again_and_in_the_end_told(cluster, tmp_path):
    marks = str(tmp_path)

    def always_fails(shard):
        open(os.path.join(marks, os.urandom(8).hex()), "w").close()
        raise ValueError("no such column: user_idd")

    with pytest.raises(FeatureStoreError, match=r"failed 4 times.*no such column: user_idd.*join_shards"):
        run_shards(always_fails, [asked(["a"])])
    assert len(list(tmp_path.iterdir())) == RETRIES + 1


def test_a_shard_that_loses_invents_or_repeats_a_row_is_noticed(cluster):
    with pytest.raises(FeatureStoreError, match="returned 1 rows for 2 moments"):
        run_shards(lambda shard: shard.slice(1), [asked(["a", "b"])])
    whole = asked(["a", "b"])
    for found in (pl.concat([whole, whole]), whole.with_columns(asked=pl.Series([0, 0])), whole.head(0)):
        with pytest.raises(FeatureStoreError, match="point-in-time join"):
            check_complete(whole, found)
