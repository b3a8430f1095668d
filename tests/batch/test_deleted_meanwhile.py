"""A user who is deleted while a batch runs is in nothing that it leaves behind."""

import threading
from types import SimpleNamespace

import orjson
import polars as pl
import pytest

from recsys.batch.forgetting import forget_users, still_stored
from recsys.batch.plan import BatchPlan
from recsys.batch.sink import PartitionSink
from recsys.batch.user_list import UserList
from recsys.batch.worker import RecommendationMaker
from recsys.context.batch import FeatureRow
from recsys.data.canonical import EVENT_SCHEMA
from recsys.events.lease import FoldLease
from recsys.events.log import EventLog
from recsys.events.removals import Removals
from recsys.workspace import Workspace

USERS = ("ann", "bob", "carl")
PEOPLE = UserList.of([USERS])


@pytest.fixture
def workspace(tmp_path):
    target = Workspace("films", tmp_path / "home")
    target.root.mkdir(parents=True)
    rows = [(f"e{n}", user, "a", n + 1, None, 1.0) for n, user in enumerate(USERS)]
    EventLog(target.event_log).append(pl.DataFrame(rows, schema=EVENT_SCHEMA, orient="row"))
    return target


@pytest.fixture
def plan(workspace):
    return BatchPlan(
        workspace=workspace.name,
        home=workspace.home,
        snapshot=workspace.root,
        snapshot_hash="s",
        content_hash="c",
        model_version="1",
        as_of=10,
        events_before=3,
        log_position=EventLog(workspace.event_log).position(),
        k=1,
        out=workspace.recommendations / "run",
    )


@pytest.fixture
def maker(plan, monkeypatch):
    """A real maker over a model and contexts that know nothing."""
    ranked = SimpleNamespace(item_ids=("a",), scores=(0.5,))
    ranker = SimpleNamespace(version="1", recommend=lambda rows, k, allowed: [ranked] * len(rows))
    ranker.for_many = lambda room: ranker
    contexts = SimpleNamespace(as_of=lambda user_ids, moments: [FeatureRow(user_id=one) for one in user_ids])
    monkeypatch.setattr("recsys.registry.snapshot.load_snapshot", lambda *_, **__: SimpleNamespace(schema=None))
    monkeypatch.setattr("recsys.registry.loading.load_recommender", lambda *_: ranker)
    monkeypatch.setattr("recsys.context.reader.FeastReader", lambda *_: contexts)
    PartitionSink(plan.out).prepare([])
    return RecommendationMaker(plan)


def written_for(plan):
    return pl.read_parquet(plan.out / "*.parquet")["user_id"].to_list()


def test_whoever_was_deleted_since_the_plan_was_made_is_left_out_even_when_back(workspace, plan, maker):
    Removals(workspace.event_log).remove_users(["bob"])
    back = pl.DataFrame([("e9", "bob", "b", 2**60, None, 1.0)], schema=EVENT_SCHEMA, orient="row")
    EventLog(workspace.event_log).append(back)
    (partition,) = plan.partitions(PEOPLE)
    assert maker.make(partition).rows == 2
    assert written_for(plan) == ["ann", "carl"]


def test_whoever_was_deleted_before_and_is_asked_for_again_is_written(workspace, plan, maker):
    Removals(workspace.event_log).remove_users(["bob"])
    later = BatchPlan(**{name: getattr(plan, name) for name in plan.__slots__} | {"log_position": 4})
    maker._plan = later
    maker.make(*later.partitions(PEOPLE))
    assert written_for(plan) == list(USERS)


def test_a_deletion_that_begins_while_a_file_is_written_finds_it_in_its_place(workspace, plan, maker, monkeypatch):
    begun = threading.Event()

    def delete():
        begun.set()
        Removals(workspace.event_log).remove_users(["bob"])
        lease = FoldLease(workspace.event_log)
        token = lease.acquire("maintenance")
        forget_users(plan.out, ["bob"], lambda: lease.guarded(token))

    deletion = threading.Thread(target=delete)
    write = PartitionSink.write

    def slowly(sink, *given):
        deletion.start()
        assert begun.wait(10)
        deletion.join(0.3)
        assert deletion.is_alive(), "the deletion waits for the file"
        return write(sink, *given)

    monkeypatch.setattr(PartitionSink, "write", slowly)
    made = maker.make(*plan.partitions(PEOPLE))
    deletion.join(30)
    assert made.rows == 3
    assert written_for(plan) == ["ann", "carl"]
    about = orjson.loads(PartitionSink(plan.out).succeed([made], {}).read_bytes())
    assert (about["rows"], about["partitions"][0]["rows"]) == (2, 2), "rows are counted where they are"


def test_nobody_is_deleted_between_the_look_and_the_write(workspace):
    with still_stored(workspace.event_log, USERS, 3) as user_ids:
        assert user_ids == list(USERS)
        thread = threading.Thread(target=Removals(workspace.event_log).remove_users, args=(["ann"],))
        thread.start()
        thread.join(0.3)
        assert thread.is_alive()
    thread.join(30)
    with still_stored(workspace.event_log, USERS, 3) as user_ids:
        assert user_ids == ["bob", "carl"]
