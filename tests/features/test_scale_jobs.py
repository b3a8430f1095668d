"""What jobs promise of the embedded stores holds on Redis and PostgreSQL, too, with two versions of the features."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from recsys.context.engine import Engine, settings_file
from recsys.context.layout import project
from recsys.errors import FeatureStoreError, LeaseError
from recsys.events.lease import FoldLease
from recsys.jobs.backup import backup
from recsys.jobs.delete_users import delete_users
from recsys.jobs.feature_versions import drop, migrate, versions
from recsys.jobs.materialise import forget, materialise
from recsys.jobs.restore import restore

pytestmark = pytest.mark.slow

GONE, ALONE = "unmistakable-user", "unmistakable-item"


@pytest.fixture(params=["scale"])
def two(request, services, tmp_path, world_class):
    """A workspace on the scale engine with rows of two versions; the schema of the older one."""
    world = world_class(tmp_path)
    world.use_engine(request.param)
    world.append((GONE, "a", 10), (GONE, ALONE, 20), ("ann", "a", 30))
    materialise(world.workspace)
    replace(world.schema, user_columns={"age": "numeric"}).save(world.workspace.schema_file)
    migrate(world.workspace)
    yield world, replace(world.schema, user_columns={"age": "numeric"})
    forget(world.workspace)


def reader_of(world, schema):
    from recsys.context.reader import FeastReader

    return FeastReader(world.workspace, schema)


def server(world):
    from redis import Redis

    return Redis.from_url(Engine.of(world.workspace).url("online_store"))


def holds(world, wanted):
    """Whether the server holds these bytes: in a key, a value, or a file of its own."""
    client = server(world)
    rows = [(key, client.hgetall(key) if client.type(key) == b"hash" else {}) for key in client.scan_iter()]
    in_memory = any(wanted.encode() in key or wanted.encode() in repr(row).encode() for key, row in rows)
    files = [path for path in Path(client.config_get("dir")["dir"]).rglob("*") if path.is_file()]
    return in_memory or any(wanted.encode() in path.read_bytes() for path in files)


def test_a_deleted_user_is_in_no_version_and_in_no_byte_of_the_server(two, files_with):
    world, newer = two
    assert holds(world, GONE)
    assert holds(world, ALONE)
    delete_users(world.workspace, [GONE])
    assert not holds(world, GONE)
    assert not holds(world, ALONE)
    assert files_with(world.workspace.root, GONE) == files_with(world.workspace.root, ALONE) == []
    for schema in (world.schema, newer):
        gone, ann = reader_of(world, schema).online([GONE, "ann"])
        assert (gone.degraded, ann.history_items) == ("unknown_user", ("a",))


def test_rows_in_the_hands_of_an_earlier_holder_are_refused_after_a_deletion(two):
    world, newer = two
    lease, reader = FoldLease(world.workspace.event_log), reader_of(world, newer)
    token = lease.acquire("serving")
    rows = reader._folder.now([GONE])
    delete_users(world.workspace, [GONE])
    with pytest.raises(LeaseError):
        reader._store.push(rows, token)
    assert reader._store.read_online([GONE])["present"] == [None]


def test_both_versions_are_folded_up_to_positions_of_their_own(two):
    world, newer = two
    world.append(("ann", "b", 40))
    lease, older = FoldLease(world.workspace.event_log), reader_of(world, world.schema)
    token = lease.acquire("serving")
    while older.catch_up(token):
        pass
    assert older._store.read_online(["ann"])["event_count"] == [2]
    assert reader_of(world, newer)._store.read_online(["ann"])["event_count"] == [1]
    later = reader_of(world, newer)
    assert later.online(["ann"])[0].event_count == 2
    while later.catch_up(token):
        pass
    assert later._store.read_online(["ann"])["event_count"] == [2]
    lease.release(token)


def test_a_dropped_version_leaves_nothing_on_the_servers(two):
    world, newer = two
    [older] = [one.service for one in versions(world.workspace) if not one.present]
    drop(world.workspace, older)
    assert [(one.rows, one.present) for one in versions(world.workspace)] == [("users", True), ("items", True)]
    client, name = server(world), project(world.workspace, Engine.of(world.workspace))
    digits = older.rsplit("_v", 1)[1].encode()
    for key in client.scan_iter(match=f"*{name}*"):
        assert digits not in key
        if client.type(key) == b"hash":
            assert not any(digits in field for field in client.hkeys(key))
    assert reader_of(world, newer).online(["ann"])[0].history_items == ("a",)
    assert materialise(world.workspace).reused


def test_both_versions_are_valid_beside_each_other(two):
    assert migrate(two[0].workspace).materialised.reused


def test_a_backup_made_before_an_append_is_restored_with_its_own_rows(two, tmp_path, monkeypatch):
    world, newer = two
    monkeypatch.setenv("RECSYS_HOME", str(world.workspace.home))
    file = tmp_path / "backup.zip"
    backup(world.workspace, file)
    world.append(("ann", "b", 40))
    materialise(world.workspace)
    world.log.close()
    restore(file, replace=True)
    assert reader_of(world, newer).online(["ann"])[0].history_items == ("a",)


def test_rows_on_a_server_that_the_settings_name_no_longer_are_not_forgotten(two):
    world, newer = two
    settings_file(world.workspace).write_text('registry = "${RECSYS_TEST_REGISTRY}"\n')
    with pytest.raises(FeatureStoreError, match="--rebuild"):
        delete_users(world.workspace, [GONE])
    materialise(world.workspace, rebuild=True)
    delete_users(world.workspace, [GONE])
    assert reader_of(world, newer).online([GONE, "ann"])[1].history_items == ("a",)
    world.use_engine("scale")
    assert not holds(world, GONE)
