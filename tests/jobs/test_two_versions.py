"""A workspace whose store holds two versions of the features: migrated beside a live service, deleted from, pruned."""

from __future__ import annotations

from dataclasses import replace

import polars as pl
import pytest

from recsys.data.canonical import EVENT_SCHEMA
from recsys.data.imported import ImportedData
from recsys.data.schema import WorkspaceSchema
from recsys.events.lease import FoldLease
from recsys.events.log import EventLog
from recsys.jobs.backup import backup
from recsys.jobs.delete_users import delete_users
from recsys.jobs.export_user import export_user
from recsys.jobs.feature_versions import migrate, versions
from recsys.jobs.ingest import ingest
from recsys.jobs.materialise import materialise
from recsys.jobs.prune import prune
from recsys.jobs.restore import restore
from recsys.serving.folder.live import LiveFolder
from recsys.workspace import Workspace

pytestmark = pytest.mark.slow

GONE, ALONE = "unmistakable-user", "unmistakable-item"
DAY = 86_400_000_000
START = 1_600_000_000_000_000


def events(*rows):
    typed = [(f"{user}-{day}", user, item, START + day * DAY, None, 1.0) for user, item, day in rows]
    return pl.DataFrame(typed, schema=EVENT_SCHEMA, orient="row")


@pytest.fixture
def workspace(recsys_home):
    schema = WorkspaceSchema(name="shop", user_columns={"age": "numeric"})
    target = Workspace.named("shop")
    given = ImportedData(
        source="by hand",
        events=events((GONE, "a", 1), ("ann", "unmistakable-old", 2), ("ann", "b", 80)),
        users=pl.DataFrame({"user_id": [GONE, "ann"], "age": [1.0, 2.0]}),
        items=pl.DataFrame({"item_id": ["a", "b"]}, schema=schema.items_frame_schema()),
        schema=schema,
    )
    ingest(target, given)
    EventLog(target.event_log).append(events((GONE, ALONE, 81)))
    materialise(target)
    return target


@pytest.fixture
def older(workspace):
    return WorkspaceSchema.load(workspace.schema_file)


@pytest.fixture
def newer(workspace, older):
    changed = replace(older, repeats=not older.repeats)
    changed.save(workspace.schema_file)
    return changed


def reader_of(workspace, schema):
    from recsys.context.reader import FeastReader

    return FeastReader(workspace, schema)


def stored(workspace, schema, *users):
    return reader_of(workspace, schema)._store.read_online(users)["event_count"]


def test_a_live_service_goes_on_with_its_version_while_another_is_made_beside_it(workspace, older, newer):
    reader, log = reader_of(workspace, older), EventLog(workspace.event_log)
    with LiveFolder(FoldLease(workspace.event_log), reader.catch_up, poll_seconds=0.05) as live:
        migrate(workspace)
        log.append(events(("ann", "c", 82)))
        live.refresh(["ann"])
        assert reader.online(["ann"])[0].history_items[-1] == "c"
        assert live.settle(60.0)
    assert stored(workspace, older, "ann") == [3]
    assert stored(workspace, newer, "ann") == [2], "nobody folded the other version"
    later = reader_of(workspace, newer)
    assert later.online(["ann"])[0].history_items[-1] == "c"
    with LiveFolder(FoldLease(workspace.event_log), later.catch_up, poll_seconds=0.05) as live:
        live.refresh(["ann"])
        assert live.settle(60.0)
    assert stored(workspace, newer, "ann") == [3]


def test_a_deleted_user_is_in_no_version(workspace, older, newer, files_with):
    migrate(workspace)
    where = {str(record["where"]).split("/")[0] for record in export_user(workspace, GONE) if "where" in record}
    assert len([record for record in export_user(workspace, GONE) if record.get("where", "").startswith("online")]) == 2
    assert where == {"online", "feature_store"}
    delete_users(workspace, [GONE])
    assert files_with(workspace.root, GONE) == files_with(workspace.root, ALONE) == []
    for schema in (older, newer):
        gone, ann = reader_of(workspace, schema).online([GONE, "ann"])
        assert (gone.degraded, ann.history_items) == ("unknown_user", ("unmistakable-old", "b"))


def test_pruned_events_are_in_no_version(workspace, older, newer, files_with):
    migrate(workspace)
    prune(workspace, 10, now=START + 85 * DAY)
    held = files_with(workspace.feature_store, "unmistakable-old")
    assert all("item_rows" in path or path.startswith("online") for path in held), "users' rows hold pruned events"
    for schema in (older, newer):
        reader = reader_of(workspace, schema)
        assert reader.online(["ann"])[0].history_items == ("b",)
        assert reader.as_of(["ann"], [START + 84 * DAY])[0].history_items == ("b",)
    assert stored(workspace, newer, "ann") == [1]
    assert stored(workspace, older, "ann") == [None]


def test_the_version_that_a_champion_reads_is_kept_up_and_made_again_by_a_rebuild(workspace, older, newer, monkeypatch):
    monkeypatch.setattr("recsys.jobs.materialise.served_schemas", lambda _: (newer, older))
    migrate(workspace)
    EventLog(workspace.event_log).append(events(("ann", "c", 82)))
    materialise(workspace)
    assert stored(workspace, older, "ann") == stored(workspace, newer, "ann") == [3]
    assert materialise(workspace).reused
    materialise(workspace, rebuild=True)
    assert [one.rows for one in versions(workspace)] == ["users", "users", "items"]
    assert stored(workspace, older, "ann") == stored(workspace, newer, "ann") == [3]


def test_a_backup_made_before_the_migration_comes_back_as_it_was(workspace, older, newer, tmp_path):
    older.save(workspace.schema_file)
    backup(workspace, tmp_path / "backup.zip")
    newer.save(workspace.schema_file)
    migrate(workspace)
    delete_users(workspace, [GONE])
    restored = restore(tmp_path / "backup.zip", replace=True)
    assert restored.deleted_again == 1
    assert [one.rows for one in versions(workspace)] == ["users", "items"]
    gone, ann = reader_of(workspace, older).online([GONE, "ann"])
    assert (gone.degraded, ann.history_items) == ("unknown_user", ("unmistakable-old", "b"))
    newer.save(workspace.schema_file)
    assert not migrate(workspace).materialised.reused
    assert reader_of(workspace, newer).online(["ann"])[0].event_count == 2
