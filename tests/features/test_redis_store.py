"""The online store on Redis: the version decides, writers are fenced, one user's rows can go, reads keep their time."""

import asyncio
import socket
import threading
import time
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from uuid import uuid4

import pytest

from recsys.context.engine import Engine
from recsys.context.fencing import FENCE, FencedOffError, writer_token
from recsys.deadline import time_budget
from recsys.errors import FeatureStoreError, StoreTimeoutError

pytestmark = pytest.mark.slow

NOON = datetime(2024, 5, 1, 12, 0, 0, 123_457, tzinfo=UTC)
TICK = timedelta(microseconds=1)


@pytest.fixture(scope="module", params=["scale"])
def url(services):
    return services["RECSYS_TEST_ONLINE_STORE"]


def view(name, *features):
    return SimpleNamespace(name=name, features=[SimpleNamespace(name=feature) for feature in features])


CONTEXT, SEEN = view("user_context", "x", "y"), view("user_seen", "items")


class Store:
    """One client of a project's rows; `again` is another process's."""

    def __init__(self, url, project=None):
        from recsys.context.redis_store import VersionedRedisOnlineStore, VersionedRedisOnlineStoreConfig

        self.url, self.project = url, project or f"p_{uuid4().hex}"
        self.subject = VersionedRedisOnlineStore()
        settings = VersionedRedisOnlineStoreConfig(url=url, read_timeout_ms=150)
        self.config = SimpleNamespace(
            project=self.project, online_store=settings, entity_key_serialization_version=3, repo_path=None
        )

    def again(self):
        return Store(self.url, self.project)

    def write(self, user_id, moment, table=CONTEXT, **features):
        from feast.protos.feast.types.Value_pb2 import Value

        values = {name: Value(int64_val=value) for name, value in features.items()}
        with writer_token(FENCE.get() or 1):
            self.subject.online_write_batch(self.config, table, [(key(user_id), values, moment, None)], None)

    def read(self, *user_ids, table=CONTEXT):
        rows = self.subject.online_read(self.config, table, [key(user_id) for user_id in user_ids])
        return [(moment, values and {n: v.int64_val for n, v in values.items()}) for moment, values in rows]


def key(user_id):
    from feast.protos.feast.types.EntityKey_pb2 import EntityKey
    from feast.protos.feast.types.Value_pb2 import Value

    return EntityKey(join_keys=["user_id"], entity_values=[Value(string_val=user_id)])


@pytest.fixture
def store(url):
    from recsys.context.redis_client import forget_rows

    store = Store(url)
    yield store
    forget_rows(Engine(online_store=url), store.project)


def test_rows_come_back_in_the_order_asked_with_exact_times(store):
    store.write("a", NOON, x=1, y=2)
    store.write("ö", NOON + TICK, x=3, y=4)
    assert store.read("ö", "nobody", "a", "ö") == [
        (NOON + TICK, {"x": 3, "y": 4}),
        (None, None),
        (NOON, {"x": 1, "y": 2}),
        (NOON + TICK, {"x": 3, "y": 4}),
    ]


@pytest.mark.parametrize(("later", "kept"), [(TICK, 2), (timedelta(0), 2), (-TICK, 1)])
def test_a_row_gives_way_to_a_row_that_is_not_older(store, later, kept):
    store.write("a", NOON, x=1, y=0)
    store.again().write("a", NOON + later, x=2, y=0)
    assert store.read("a") == [(max(NOON, NOON + later), {"x": kept, "y": 0})]


def test_versions_around_the_beginning_of_the_log_are_ordered_as_numbers(store):
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    store.write("a", epoch + 9 * TICK, x=9, y=0)
    store.write("a", epoch + 10 * TICK, x=10, y=0)
    store.write("a", epoch, x=0, y=0)
    assert store.read("a") == [(epoch + 10 * TICK, {"x": 10, "y": 0})]


def test_views_of_one_user_are_versioned_apart_and_read_together(store):
    store.write("a", NOON, x=1, y=2)
    store.write("a", NOON - TICK, table=SEEN, items=7)
    context, seen = store.subject.online_read_views(store.config, [CONTEXT, SEEN], [key("a"), key("b")])
    assert [row[0] for row in context] == [NOON, None]
    assert [row[0] for row in seen] == [NOON - TICK, None]
    assert seen[0][1]["items"].int64_val == 7


def test_many_writers_at_once_leave_the_newest_row(store):
    def work(start):
        mine = store.again()
        for step in range(60):
            mine.write("a", NOON + (start + 4 * step) * TICK, x=start + 4 * step, y=0)

    threads = [threading.Thread(target=work, args=(start,)) for start in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.read("a") == [(NOON + 239 * TICK, {"x": 239, "y": 0})]


def test_a_writer_with_an_older_token_is_refused_and_changes_nothing(store):
    with writer_token(7):
        store.write("a", NOON, x=1, y=0)
    with writer_token(6), pytest.raises(FencedOffError, match=r"\(6\).*--rebuild"):
        store.again().write("a", NOON + TICK, x=2, y=0)
    with writer_token(6), pytest.raises(FencedOffError):
        store.subject.online_remove(store.config, [key("a")])
    assert store.read("a") == [(NOON, {"x": 1, "y": 0})]
    with writer_token(10):
        store.write("a", NOON + TICK, x=3, y=0)
    assert store.read("a") == [(NOON + TICK, {"x": 3, "y": 0})]


def test_without_a_token_nothing_is_written(store):
    with pytest.raises(FencedOffError, match="lease"):
        store.subject.online_write_batch(store.config, CONTEXT, [(key("a"), {}, NOON, None)], None)
    assert store.read("a") == [(None, None)]


def test_one_users_rows_can_be_removed_from_every_view(store):
    for user in ("a", "b"):
        store.write(user, NOON, x=1, y=0)
        store.write(user, NOON, table=SEEN, items=1)
    with writer_token(1):
        store.subject.online_remove(store.config, [key("a"), key("nobody")])
    assert store.read("a", "b") == [(None, None), (NOON, {"x": 1, "y": 0})]
    assert store.read("a", table=SEEN) == [(None, None)]
    store.write("a", NOON - TICK, x=5, y=0)
    assert store.read("a") == [(NOON - TICK, {"x": 5, "y": 0})]


def test_a_raised_fence_shuts_out_earlier_writers_before_anything_is_written(store):
    store.write("a", NOON, x=1, y=0)
    with writer_token(3):
        store.subject.raise_fence(store.config)
    with writer_token(2), pytest.raises(FencedOffError):
        store.again().write("a", NOON + TICK, x=2, y=0)
    assert store.read("a") == [(NOON, {"x": 1, "y": 0})]


def test_the_folded_position_only_grows_and_is_fenced(store):
    assert store.subject.folded_up_to(store.config, "v1") == 0
    with writer_token(3):
        store.subject.note_folded(store.config, "v1", 12)
        store.subject.note_folded(store.config, "v1", 9)
    with writer_token(2), pytest.raises(FencedOffError):
        store.subject.note_folded(store.config, "v1", 15)
    assert store.again().subject.folded_up_to(store.config, "v1") == 12
    assert store.subject.folded_up_to(store.config, "v2") == 0
    with writer_token(3):
        store.subject.forget_folded(store.config, "v1")
    assert store.subject.folded_up_to(store.config, "v1") == 0


def test_rows_of_a_view_that_were_not_written_since_can_be_removed(store):
    store.write("old", NOON, x=1, y=0)
    store.write("old", NOON, table=SEEN, items=1)
    store.write("new", NOON + TICK, x=2, y=0)
    with writer_token(3):
        store.subject.delete_older(store.config, CONTEXT, NOON + TICK)
    assert store.read("old", "new") == [(None, None), (NOON + TICK, {"x": 2, "y": 0})]
    assert store.read("old", table=SEEN) == [(NOON, {"items": 1})]
    with writer_token(2), pytest.raises(FencedOffError):
        store.subject.delete_older(store.config, CONTEXT, NOON + 2 * TICK)
    assert store.read("new") == [(NOON + TICK, {"x": 2, "y": 0})]


def test_forgetting_a_project_leaves_another_ones_rows_and_nothing_of_its_own(store, url):
    from recsys.context.redis_client import RedisClients, forget_rows

    other = Store(url, f"x{store.project[1:]}")
    try:
        other.write("a", NOON, x=9, y=0)
        with writer_token(7):
            store.write("a", NOON, x=1, y=0)
        forget_rows(Engine(online_store=url), store.project)
        assert store.read("a") == [(None, None)]
        assert other.read("a") == [(NOON, {"x": 9, "y": 0})]
        assert list(RedisClients(url, 1.0).patient.scan_iter(match=f"*{store.project}*")) == []
        with writer_token(6):
            store.write("a", NOON, x=2, y=0)
    finally:
        forget_rows(Engine(online_store=url), other.project)


def test_a_materialisation_is_recognised_until_its_rows_are_gone(store, url):
    from recsys.context.redis_client import forget_rows, is_materialised, mark_materialised

    engine = Engine(online_store=url)
    assert not is_materialised(engine, store.project, "one")
    mark_materialised(engine, store.project, "one")
    assert is_materialised(engine, store.project, "one")
    assert not is_materialised(engine, store.project, "two")
    forget_rows(engine, store.project)
    assert not is_materialised(engine, store.project, "one")


def test_feasts_own_client_reads_the_rows_too(store, url):
    from feast.infra.online_stores.redis import RedisOnlineStore, RedisOnlineStoreConfig

    store.write("a", NOON, x=1, y=2)
    place = url.removeprefix("redis://:").removesuffix("/0")
    password, address = place.split("@")
    settings = RedisOnlineStoreConfig(connection_string=f"{address},password={password}")
    registry = SimpleNamespace(enable_online_feature_view_versioning=False)
    config = SimpleNamespace(
        project=store.project, online_store=settings, registry=registry, entity_key_serialization_version=3
    )
    [(_, values)] = RedisOnlineStore().online_read(config, CONTEXT, [key("a")])
    assert {name: value.int64_val for name, value in values.items()} == {"x": 1, "y": 2}


def test_feasts_asynchronous_methods_which_know_no_version_are_not_offered(url):
    store = Store(url)
    assert (store.subject.async_supported.read, store.subject.async_supported.write) == (False, False)
    with pytest.raises(NotImplementedError, match="version"):
        asyncio.run(store.subject.online_write_batch_async(store.config, CONTEXT, [], None))


@pytest.fixture
def silent_server():
    """Takes connections and never answers: what a hung Redis looks like."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"redis://127.0.0.1:{server.getsockname()[1]}/0"


def test_a_hung_redis_costs_a_read_its_budget_and_no_more(silent_server):
    hung = Store(silent_server)
    started = time.monotonic()
    with time_budget(0.15), pytest.raises(StoreTimeoutError, match="time budget"):
        hung.read("a")
    assert 0.1 < time.monotonic() - started < 1.0


def test_a_redis_that_is_down_is_told_at_once_and_without_its_password():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    from recsys.context.redis_client import is_materialised

    engine = Engine(online_store=f"redis://:s3cret@127.0.0.1:{port}/0")
    started = time.monotonic()
    with pytest.raises(FeatureStoreError, match="Redis does not answer") as told:
        is_materialised(engine, "p", "one")
    assert "s3cret" not in str(told.value)
    assert time.monotonic() - started < 1.0
