"""The benchmark of the feature store measures what it says: synthetic users, percentiles, nothing lost or missing."""

import polars as pl
import pytest

from benchmarks.stores.synthetic import append_users, make_workspace, user_name
from benchmarks.stores.timing import summary, timed
from recsys.events.log import EventLog
from recsys.jobs.materialise import materialise


def test_every_synthetic_user_has_as_many_events_scattered_in_the_log_in_order_of_time(tmp_path):
    workspace, _ = make_workspace(tmp_path, "some")
    log = EventLog(workspace.event_log)
    assert append_users(log, 5, users=7, events_each=3) == 21
    events = log.read()
    assert dict(events["user_id"].value_counts().iter_rows()) == {user_name(number): 3 for number in range(5, 12)}
    assert events["occurred_at"].is_sorted()
    assert events["user_id"].head(7).n_unique() == 7


def test_calls_are_timed_after_the_warm_up_and_summed_up_in_milliseconds():
    called = []
    assert len(timed(called.append, [1, 2, 3], warm_up=2)) == 3
    assert called == [1, 2, 1, 2, 3]
    found = summary([number / 1_000 for number in range(1, 102)])
    assert (found["calls"], found["p50_ms"], found["p99_ms"], found["max_ms"]) == (101, 51.0, 100.0, 101.0)


@pytest.mark.slow
def test_reads_freshness_and_the_seen_set_are_measured_on_a_real_store(tmp_path):
    from benchmarks.stores.freshness import measure_freshness
    from benchmarks.stores.reading import MANY_EVENTS, measure_reads, measure_seen

    workspace, schema = make_workspace(tmp_path, "some")
    append_users(EventLog(workspace.event_log), 0, users=20, events_each=4)
    materialise(workspace)
    reads = measure_reads(workspace, schema, users=20, calls=10)
    assert reads["context"]["one_user"]["calls"] == 10
    assert reads["ratio_of_store_reads_to_feast"]["one_user"] > 0
    assert measure_freshness(workspace, schema, users=20, events=11)["missing"] == 0
    seen = measure_seen(workspace, schema)
    assert (seen["lost"], seen["online"], seen["in_the_tensor"]) == (0, MANY_EVENTS, MANY_EVENTS)


def test_joins_of_too_few_moments_are_refused_because_they_would_not_be_sharded(tmp_path):
    from benchmarks.stores.joining import measure_joins

    with pytest.raises(SystemExit, match="at least 10000"):
        measure_joins(*make_workspace(tmp_path, "some"), users=5, moments=9_999, shards=2)


@pytest.fixture
def joined(tmp_path, monkeypatch):
    """Runs the unit on a real store; shards are joined here instead of on Ray, as `change` says."""
    from contextlib import nullcontext

    from benchmarks.stores import joining
    from recsys.context import sharding

    monkeypatch.setattr(joining, "SHARDED_FROM", 1)
    monkeypatch.setattr("recsys.context.user_store.SHARDED_FROM", 1)
    monkeypatch.setattr(joining, "ray_cluster", nullcontext)
    workspace, schema = make_workspace(tmp_path, "some")
    append_users(EventLog(workspace.event_log), 0, users=6, events_each=4)
    materialise(workspace)
    asked_shards = []

    def run(change=lambda frame: frame):
        def here(configuration, entities, references, shards):
            asked_shards.append(shards)
            parts = sharding.by_user(entities, shards)
            store = sharding._store(configuration)
            return change(pl.concat(sharding.point_in_time_join(store, part, references) for part in parts))

        monkeypatch.setattr(sharding, "join_in_shards", here)
        found = joining.measure_joins(workspace, schema, users=6, moments=40, shards=3, rounds=2)
        return found, asked_shards

    return run


@pytest.mark.slow
def test_joins_in_shards_are_measured_beside_one_in_a_piece_and_no_row_is_lost(joined):
    found, asked_shards = joined()
    assert (found["rows_in"], found["rows_out"], found["shards"]) == (40, 40, 3)
    assert asked_shards == [3, 3, 3], "once to warm up, twice timed; the reference is never sharded"
    speeds = found["sharded"]["rows_a_second"] / found["unsharded"]["rows_a_second"]
    assert found["ratio_of_speed_sharded_to_unsharded"] == pytest.approx(speeds, rel=0.2)
    with pytest.raises(SystemExit, match="or other ones"):
        joined(change=lambda frame: frame.with_columns(event_count=pl.col("event_count") + 1))


@pytest.mark.slow
def test_growth_builds_every_users_rows(tmp_path):
    from benchmarks.stores.growth import build

    found = build(tmp_path, 30)
    assert (found["users"], found["parts"]) == (30, 1)
    rows = pl.read_parquet(next(tmp_path.rglob("*.parquet")))
    assert rows["user_id"].n_unique() == 30
