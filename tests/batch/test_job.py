"""A plan runs on Ray: every partition once, what is there is kept, a failure keeps what is finished."""

import os
import signal
from pathlib import Path

import polars as pl
import pytest

from recsys.batch.formats import OUTPUT_SCHEMA
from recsys.batch.job import BatchError, run_plan
from recsys.batch.plan import BatchPlan
from recsys.batch.sink import SUCCESS, PartitionSink
from recsys.batch.user_list import UserList
from recsys.errors import RegistryError

USERS = tuple(f"u{n}" for n in range(7))
PEOPLE = UserList.of([USERS])


class WordMaker:
    """Recommends one item to everybody; stumbles over the user named in the file `stumble`."""

    def __init__(self, plan):
        self.sink = PartitionSink(plan.out)
        self.stumble = plan.home / "stumble"

    def make(self, partition):
        deaths = self.stumble.with_name("deaths")
        if deaths.exists() and int(deaths.read_text()) and "u4" in partition.user_ids:
            deaths.write_text(str(int(deaths.read_text()) - 1))
            os.kill(os.getpid(), signal.SIGKILL)
        if self.stumble.exists() and self.stumble.read_text() in partition.user_ids:
            raise ValueError("this user is too much")
        frame = pl.DataFrame(
            {
                "user_id": partition.user_ids,
                "rank": 1,
                "item_id": "a",
                "score": 0.5,
                "model_version": str(os.getpid()),
                "as_of": None,
            },
            schema_overrides=OUTPUT_SCHEMA,
        )
        return self.sink.write(partition, frame.cast(OUTPUT_SCHEMA), 0)


@pytest.fixture
def plan(tmp_path):
    return BatchPlan(
        workspace="films",
        home=tmp_path,
        snapshot=Path("/nowhere"),
        snapshot_hash="s",
        content_hash="c",
        model_version="1",
        as_of=10,
        events_before=7,
        log_position=7,
        k=1,
        out=tmp_path / "out",
    )


@pytest.fixture(scope="module")
def cluster():
    from recsys.cluster import ray_cluster

    with ray_cluster():
        yield


@pytest.mark.slow
def test_every_user_is_recommended_to_and_progress_is_told(plan, cluster):
    told = []
    run = run_plan(
        plan, plan.partitions(PEOPLE, 2), {"k": 1}, on_progress=lambda *now: told.append(now), maker=WordMaker
    )
    assert pl.read_parquet(plan.out / "*.parquet")["user_id"].to_list() == list(USERS)
    assert run.manifest == plan.out / SUCCESS
    assert (run.kept, sum(part.rows for part in run.written)) == (0, 7)
    assert told[0] == (0, 7)
    assert told[-1] == (7, 7)


@pytest.mark.slow
def test_a_failure_says_why_keeps_what_is_finished_and_the_next_run_goes_on(plan, cluster, tmp_path):
    partitions = plan.partitions(PEOPLE, 2)
    (tmp_path / "stumble").write_text("u6")
    with pytest.raises(BatchError, match=r"this user is too much.*with --as-of 1970-01-01T00:00:00\.000010\+00:00"):
        run_plan(plan, partitions, {}, maker=WordMaker)
    assert not (plan.out / SUCCESS).exists()
    assert not list(plan.out.glob(".unfinished*"))
    finished = len(list(plan.out.glob("*.parquet")))
    (tmp_path / "stumble").unlink()
    run = run_plan(plan, partitions, {}, maker=WordMaker)
    assert run.kept == finished
    assert pl.read_parquet(plan.out / "*.parquet")["user_id"].to_list() == list(USERS)


@pytest.mark.slow
def test_whoever_is_killed_is_replaced(plan, cluster, tmp_path):
    (tmp_path / "deaths").write_text("2")
    run = run_plan(plan, plan.partitions(PEOPLE, 2), {}, maker=WordMaker)
    assert (tmp_path / "deaths").read_text() == "0"
    assert run.manifest.exists()
    assert [part.users for part in run.written] == [2, 2, 2, 1]
    assert pl.read_parquet(plan.out / "*.parquet")["user_id"].to_list() == list(USERS)


@pytest.mark.slow
def test_what_kills_everybody_ends_the_run_and_keeps_what_is_finished(plan, cluster, tmp_path, monkeypatch):
    monkeypatch.setattr("recsys.batch.job.LOSSES", 1)
    (tmp_path / "deaths").write_text("9")
    with pytest.raises(BatchError, match="run the same command again"):
        run_plan(plan, plan.partitions(PEOPLE, 2), {}, maker=WordMaker)
    assert (tmp_path / "deaths").read_text() == "7"
    assert not (plan.out / SUCCESS).exists()
    assert "u4" not in pl.read_parquet(plan.out / "*.parquet")["user_id"].to_list()


def test_two_runs_are_never_at_one_folder(plan):
    with PartitionSink(plan.out).alone(), pytest.raises(RegistryError, match="Another batch into .* is under way"):
        run_plan(plan, plan.partitions(PEOPLE, 4), {}, maker=WordMaker)
    assert not list(plan.out.glob("part-*"))


def test_a_plan_whose_files_are_all_there_starts_no_ray(plan, monkeypatch):
    def no_ray():
        raise AssertionError("Ray was started")

    monkeypatch.setattr("recsys.batch.job.ray_cluster", no_ray)
    partitions = plan.partitions(PEOPLE, 4)
    maker = WordMaker(plan)
    maker.sink.prepare(partitions)
    for partition in partitions:
        maker.make(partition)
    run = run_plan(plan, partitions, {}, maker=WordMaker)
    assert run.kept == 2
    assert (plan.out / SUCCESS).exists()
