"""Two versions of the features side by side: the older one serves, exactly, until it is dropped."""

from dataclasses import replace

import pytest

from recsys.context.feature_schema import ITEM_SERVICE
from recsys.context.item_rows import item_feature_schema
from recsys.context.rows import feature_rows, feature_schema
from recsys.errors import ConfigError, FeatureStoreError
from recsys.jobs.feature_versions import drop, migrate, versions
from recsys.jobs.materialise import materialise

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def migrated(tmp_path_factory, world_class):
    """A workspace whose schema changed after it was materialised, with both versions; and readers of the two."""
    from recsys.context.reader import FeastReader

    world = world_class(tmp_path_factory.mktemp("home"))
    world.append(("ann", "a", 10), ("ann", "b", 20, "dislike"), ("böb", "c", 30))
    materialise(world.workspace)
    before = FeastReader(world.workspace, world.schema)
    changed = replace(world.schema, events=replace(world.schema.events, negative=()))
    changed.save(world.workspace.schema_file)
    done = migrate(world.workspace)
    return world, changed, done, before, FeastReader(world.workspace, changed)


def test_migrating_says_what_is_different(migrated):
    world, changed, done, *_ = migrated
    (older,) = done.older
    assert older.service == feature_schema(world.schema).service
    assert 'events is {"positive": null, "negative": []' in "".join(older.changes)
    assert done.materialised.feature_service == feature_schema(changed).service
    assert migrate(world.workspace).materialised.reused is True
    assert [one.rows for one in versions(world.workspace) if one.present] == ["users", "items"]
    assert [one.service for one in versions(world.workspace) if not one.present] == [older.service]


def test_each_version_reads_its_own_rows_online_and_as_of_a_moment(migrated):
    *_, before, after = migrated
    for reader, items in ((before, ("a",)), (after, ("a", "b"))):
        assert reader.online(["ann"])[0].history_items == items
        assert reader.as_of(["ann"], [25])[0].history_items == items


def test_the_older_version_stays_live_in_readers_that_were_open_and_in_new_ones(migrated):
    from recsys.context.reader import FeastReader

    world, _, _, before, after = migrated
    world.append(("late", "a", 40, "dislike"))
    for reader in (before, FeastReader(world.workspace, world.schema), after):
        reader.refresh(["late"])
        (row,) = reader.online(["late"])
        expected = reader._folder.now(["late"]).to_dict(as_series=False)
        assert [row] == feature_rows(expected, reader.schema)
        assert row.event_count == (1 if reader is after else 0)


def test_what_is_asked_for_now_cannot_be_dropped_nor_what_is_not_there(migrated):
    world, changed, *_ = migrated
    with pytest.raises(ConfigError, match="is what the schema of 'small-world' asks for"):
        drop(world.workspace, feature_schema(changed).version)
    with pytest.raises(ConfigError, match=r"no feature version 'v1'; it has: user_context_v"):
        drop(world.workspace, "v1")


def test_a_dropped_version_is_gone_and_its_readers_are_told_the_difference(world_class, tmp_path):
    from recsys.context.layout import online_database
    from recsys.context.reader import FeastReader

    world = world_class(tmp_path)
    world.append(("ann", "a", 10))
    materialise(world.workspace)
    older = feature_schema(world.schema)
    changed = replace(world.schema, user_columns={"age": "numeric"})
    changed.save(world.workspace.schema_file)
    migrate(world.workspace)
    assert drop(world.workspace, older.service).service == older.service
    left = [one.service for one in versions(world.workspace)]
    assert left == [feature_schema(changed).service, item_service(changed)]
    left = {path.name for path in world.workspace.feature_store.rglob("*") if older.version in path.name}
    assert left == set()
    assert older.version.encode() not in online_database(world.workspace).read_bytes()[:4096]
    with pytest.raises(FeatureStoreError, match=r"column 'profile_likes' \(List\(String\)\) is new.*features migrate"):
        FeastReader(world.workspace, world.schema)
    assert FeastReader(world.workspace, changed).online(["ann"])[0].history_items == ("a",)


def test_an_older_version_of_items_rows_is_listed_and_dropped(world_class, tmp_path):
    from recsys.context.item_store import ItemStore
    from recsys.context.layout import online_database
    from recsys.context.store import FeatureStoreAdapter

    world = world_class(tmp_path)
    world.append(("ann", "a", 10))
    materialise(world.workspace)
    older = item_service(world.schema)
    fewer = {name: kind for name, kind in world.schema.item_columns.items() if name != "size"}
    changed = replace(world.schema, item_columns=fewer)
    changed.save(world.workspace.schema_file)
    migrate(world.workspace)
    (listed,) = (one for one in versions(world.workspace) if one.service == older)
    assert (listed.rows, listed.present, listed.champion) == ("items", False, False)
    assert listed.changes == ("column 'item_size' (Float64) is gone",)
    with pytest.raises(ConfigError, match="is what the schema of 'small-world' asks for"):
        drop(world.workspace, item_service(changed))
    assert drop(world.workspace, older) == listed
    digits = item_feature_schema(world.schema).version
    assert digits.encode() not in online_database(world.workspace).read_bytes()
    assert not list(world.workspace.feature_store.rglob(f"*{digits}*"))
    assert older not in [one.service for one in versions(world.workspace)]
    rows = ItemStore(FeatureStoreAdapter(world.workspace, changed)).online(["a"])
    assert rows["event_count"].to_list() == [1]


def item_service(schema):
    return item_feature_schema(schema).named(ITEM_SERVICE)


def test_there_is_nothing_to_migrate_before_anything_was_materialised(world):
    with pytest.raises(ConfigError, match="no features to migrate.*recsys features materialise"):
        migrate(world.workspace)


def test_rows_of_before_versions_had_names_are_listed_and_can_be_dropped(world_class, tmp_path):
    from feast import Entity, FeatureService, FeatureStore, FeatureView, Field, FileSource, ValueType
    from feast.types import Int64, String

    from recsys.context.layout import configuration_file, offline_rows
    from recsys.context.reader import FeastReader

    world = world_class(tmp_path)
    world.append(("ann", "a", 10))
    materialise(world.workspace)
    part = offline_rows(world.workspace) / "rows-1.parquet"
    part.write_bytes((next(part.parent.glob("*/*.parquet"))).read_bytes())
    source = FileSource(name="user_rows", path=f"{part.parent}/*.parquet", timestamp_field="event_timestamp")
    fields = [Field(name="user_id", dtype=String), Field(name="event_count", dtype=Int64)]
    user = Entity(name="user", join_keys=["user_id"], value_type=ValueType.STRING)
    view = FeatureView(name="user_context", entities=[user], schema=fields, source=source)
    service = FeatureService(name="user_context_v0123456789ab", features=[view])
    store = FeatureStore(fs_yaml_file=configuration_file(world.workspace))
    store.apply([user, source, view, service])
    (older,) = (one for one in versions(world.workspace) if not one.present)
    assert older.service == service.name
    drop(world.workspace, older.service)
    assert [one.present for one in versions(world.workspace)] == [True, True]
    assert not part.exists()
    reader = FeastReader(world.workspace, world.schema)
    assert reader.online(["ann"]) == reader.as_of(["ann"], [11])
