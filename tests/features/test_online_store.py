"""The embedded online store: write-ahead log, a connection per thread, exact times, no way back in time."""

import sqlite3
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest

pytestmark = pytest.mark.slow

NOON = datetime(2024, 5, 1, 12, 0, 0, 123_457, tzinfo=UTC)
TICK = timedelta(microseconds=1)
VIEW = SimpleNamespace(name="view", features=[])


@pytest.fixture
def store(tmp_path):
    return make_store(tmp_path)


def make_store(folder):
    from recsys.context.online_store import WalSqliteOnlineStore, WalSqliteOnlineStoreConfig

    subject = WalSqliteOnlineStore()
    settings = WalSqliteOnlineStoreConfig(path=str(folder / "deep" / "online.db"))
    registry = SimpleNamespace(enable_online_feature_view_versioning=False)
    config = SimpleNamespace(
        project="p", online_store=settings, registry=registry, repo_path=None, entity_key_serialization_version=3
    )
    subject.update(config, [], [VIEW], [], [], partial=False)
    return subject, config


def key(user_id):
    from feast.protos.feast.types.EntityKey_pb2 import EntityKey
    from feast.protos.feast.types.Value_pb2 import Value

    return EntityKey(join_keys=["user_id"], entity_values=[Value(string_val=user_id)])


def write(store, user_id, moment, **features):
    from feast.protos.feast.types.Value_pb2 import Value

    subject, config = store
    values = {name: Value(int64_val=value) for name, value in features.items()}
    subject.online_write_batch(config, VIEW, [(key(user_id), values, moment, None)], None)


def read(store, *user_ids):
    subject, config = store
    rows = subject.online_read(config, VIEW, [key(user_id) for user_id in user_ids])
    return [(moment, values and {name: value.int64_val for name, value in values.items()}) for moment, values in rows]


def test_rows_come_back_in_the_order_asked_with_exact_times(store):
    write(store, "a", NOON, x=1, y=2)
    write(store, "b", NOON + TICK, x=3)
    assert read(store, "b", "nobody", "a", "b") == [
        (NOON + TICK, {"x": 3}),
        (None, None),
        (NOON, {"x": 1, "y": 2}),
        (NOON + TICK, {"x": 3}),
    ]


@pytest.mark.parametrize(("later", "kept"), [(TICK, 2), (timedelta(0), 2), (-TICK, 1)])
def test_a_row_gives_way_to_a_row_that_is_not_older(store, later, kept):
    write(store, "a", NOON, x=1)
    write(store, "a", NOON + later, x=2)
    assert read(store, "a") == [(max(NOON, NOON + later), {"x": kept})]


def test_the_database_uses_a_write_ahead_log(store):
    _subject, config = store
    with sqlite3.connect(config.online_store.path) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_every_thread_has_a_connection_of_its_own(store):
    subject, config = store
    connections = [subject._get_conn(config), subject._get_conn(config)]
    thread = threading.Thread(target=lambda: connections.append(subject._get_conn(config)))
    thread.start()
    thread.join()
    assert connections[0] is connections[1]
    assert connections[2] is not connections[0]


def test_a_reader_is_not_kept_waiting_by_a_writer(store):
    _subject, config = store
    write(store, "a", NOON, x=1)
    with sqlite3.connect(config.online_store.path) as writer:
        writer.execute("BEGIN IMMEDIATE")
        assert read(store, "a") == [(NOON, {"x": 1})]


def test_teardown_leaves_nothing(store):
    subject, config = store
    write(store, "a", NOON, x=1)
    subject.teardown(config, [], [])
    assert list(Path(config.online_store.path).parent.iterdir()) == []
