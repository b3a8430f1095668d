"""The embedded online store: write-ahead log, a connection per thread, exact times, no way back in time."""

import sqlite3
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest

from recsys.errors import LeaseError

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


def write(store, user_id, moment, token=1, **features):
    from feast.protos.feast.types.Value_pb2 import Value

    from recsys.context.fencing import writer_token

    subject, config = store
    values = {name: Value(int64_val=value) for name, value in features.items()}
    with writer_token(token):
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


def test_a_writer_with_an_older_token_changes_nothing(store):
    write(store, "a", NOON, token=5, x=1)
    with pytest.raises(LeaseError, match="later holder of the lease \\(5\\) than this one \\(4\\)"):
        write(store, "a", NOON + TICK, token=4, x=2)
    with pytest.raises(LeaseError):
        write(store, "b", NOON, token=4, x=2)
    assert read(store, "a", "b") == [(NOON, {"x": 1}), (None, None)]
    write(store, "a", NOON + TICK, token=5, x=3)
    write(store, "a", NOON + TICK, token=6, x=4)
    assert read(store, "a") == [(NOON + TICK, {"x": 4})]


def test_a_raised_fence_shuts_out_earlier_holders_before_the_first_write(store):
    from recsys.context.fencing import writer_token

    subject, config = store
    with writer_token(7):
        subject.raise_fence(config)
    with pytest.raises(LeaseError):
        write(store, "a", NOON, token=6, x=1)


def test_who_holds_no_lease_cannot_write(store):
    subject, config = store
    with pytest.raises(LeaseError, match="Only the holder"):
        subject.online_write_batch(config, VIEW, [(key("a"), {}, NOON, None)], None)


def test_how_far_the_log_is_folded_is_kept_and_never_goes_back(store):
    from recsys.context.fencing import writer_token

    subject, config = store
    assert subject.folded_up_to(config, "v1") == 0
    with writer_token(1):
        subject.note_folded(config, "v1", 7)
        subject.note_folded(config, "v1", 5)
    assert subject.folded_up_to(config, "v1") == 7
    with writer_token(0), pytest.raises(LeaseError):
        subject.note_folded(config, "v1", 9)
    assert subject.folded_up_to(config, "v1") == 7
    assert subject.folded_up_to(config, "v2") == 0
    with writer_token(1):
        subject.forget_folded(config, "v1")
    assert subject.folded_up_to(config, "v1") == 0


def test_deleting_leaves_no_byte_of_a_user_in_any_file(store, files_with):
    from recsys.context.fencing import writer_token

    subject, config = store
    for number in range(300):
        write(store, f"somebody-else-{number}", NOON, x=number)
        write(store, "unmistakable-user", NOON + number * TICK, x=number)
    with writer_token(1):
        subject.online_remove(config, [key("unmistakable-user")])
    assert read(store, "unmistakable-user", "somebody-else-7") == [(None, None), (NOON, {"x": 7})]
    assert files_with(Path(config.online_store.path).parent, "unmistakable-user") == []
    assert files_with(Path(config.online_store.path).parent, "somebody-else-7") != []


def test_rows_that_were_not_written_again_go(store):
    from recsys.context.fencing import writer_token

    subject, config = store
    write(store, "gone", NOON, x=1)
    write(store, "here", NOON + TICK, x=2)
    with writer_token(1):
        subject.delete_older(config, VIEW, NOON + TICK)
    assert read(store, "gone", "here") == [(None, None), (NOON + TICK, {"x": 2})]


def test_a_store_that_was_made_anew_is_read_by_those_who_had_the_old_one_open(store, tmp_path):
    write(store, "a", NOON, token=9, x=1)
    rebuilder = make_store(tmp_path)
    rebuilder[0].teardown(rebuilder[1], [], [])
    rebuilder[0].update(rebuilder[1], [], [VIEW], [], [], partial=False)
    write(rebuilder, "b", NOON, token=1, x=2)
    assert read(store, "a", "b") == [(None, None), (NOON, {"x": 2})]
    write(store, "b", NOON + TICK, token=1, x=3)
    assert read(rebuilder, "b") == [(NOON + TICK, {"x": 3})]


def test_teardown_leaves_nothing(store):
    subject, config = store
    write(store, "a", NOON, x=1)
    subject.teardown(config, [], [])
    assert list(Path(config.online_store.path).parent.iterdir()) == []
