"""Whatever the online store holds of a user, what is read is the fold of the log, or a fallback that says why."""

import sqlite3

import pytest

from recsys.context.engine import Engine
from recsys.context.layout import online_database, project
from recsys.context.rows import feature_rows
from recsys.jobs.materialise import materialise

pytestmark = pytest.mark.slow


class Store:
    """A materialised workspace whose stored rows may be damaged."""

    def __init__(self, world) -> None:
        from recsys.context.reader import FeastReader

        world.append(("ann", "a", 10), ("ann", "b", 20), ("böb", "c", 30))
        materialise(world.workspace)
        self.world, self.reader = world, FeastReader(world.workspace, world.schema)

    def read(self, *users):
        return self.reader.online(users)

    def folded(self, *users):
        rows = feature_rows(self.world.folder.now(users).to_dict(as_series=False), self.world.schema)
        return [{row.user_id: row for row in rows}[user] for user in users]

    def change(self, query: str, view: str, user: str, *parameters: object) -> None:
        table = f'"{project(self.world.workspace, Engine())}_{self.reader._store.features.version.named(view)}"'
        with sqlite3.connect(online_database(self.world.workspace)) as connection:
            done = connection.execute(query.format(table=table), (*parameters, self.key(user)))
            assert done.rowcount > 0
        connection.close()

    def key(self, user: str) -> bytes:
        from feast.infra.key_encoding_utils import serialize_entity_key
        from feast.protos.feast.types.EntityKey_pb2 import EntityKey
        from feast.protos.feast.types.Value_pb2 import Value

        entity_key = EntityKey(join_keys=["user_id"], entity_values=[Value(string_val=user)])
        return serialize_entity_key(entity_key, entity_key_serialization_version=3)

    def set(self, view: str, user: str, feature: str, **value: object) -> None:
        from feast.protos.feast.types import Value_pb2

        kinds = {
            "int64_list_val": Value_pb2.Int64List,
            "string_list_val": Value_pb2.StringList,
            "float_list_val": Value_pb2.FloatList,
        }
        typed = {kind: kinds[kind](val=own) if kind in kinds else own for kind, own in value.items()}
        stored = Value_pb2.Value(**typed).SerializeToString()
        query = "UPDATE {table} SET value = ? WHERE feature_name = ? AND entity_key = ?"
        self.change(query, view, user, stored, feature)

    def forget(self, view: str, user: str) -> None:
        self.change("DELETE FROM {table} WHERE entity_key = ?", view, user)

    def rename(self, view: str, user: str, other: str) -> None:
        self.change("UPDATE {table} SET entity_key = ? WHERE entity_key = ?", view, user, self.key(other))


@pytest.fixture(scope="module")
def store(tmp_path_factory, world_class) -> Store:
    return Store(world_class(tmp_path_factory.mktemp("home")))


DAMAGES = {
    "a list too short": lambda store: store.set("user_context", "ann", "history_times", int64_list_val=[10]),
    "a list too long": lambda store: store.set("user_seen", "ann", "seen_counts", int64_list_val=[1, 1, 1]),
    "a list that is missing": lambda store: store.set("user_context", "ann", "history_items"),
    "a history that is missing whole": lambda store: [
        store.set("user_context", "ann", f"history_{part}") for part in ("items", "times", "values")
    ],
    "a history without its newest event": lambda store: [
        store.set("user_context", "ann", "history_items", string_list_val=["a"]),
        store.set("user_context", "ann", "history_times", int64_list_val=[10]),
        store.set("user_context", "ann", "history_values", float_list_val=[1.0]),
    ],
    "seen items that are missing whole": lambda store: [
        store.set("user_seen", "ann", f"seen_{part}") for part in ("items", "counts", "last")
    ],
    "a list of another type": lambda store: store.set("user_seen", "ann", "seen_items", int64_list_val=[1, 2]),
    "a number that is missing": lambda store: store.set("user_context", "ann", "event_count"),
    "a number of another type": lambda store: store.set("user_context", "ann", "last_event_at", string_val="20"),
    "a position of another type": lambda store: store.set("user_seen", "ann", "seen_log_position", string_val="x"),
    "one half missing": lambda store: store.forget("user_seen", "ann"),
    "the other half missing": lambda store: store.forget("user_context", "ann"),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
def test_a_damaged_row_is_folded_again_from_the_log(store, damage):
    store.reader.refresh(["ann"])
    expected = store.folded("ann", "böb")
    damage(store)
    assert store.read("ann", "böb") == expected
    assert [row.degraded for row in expected] == [None, None]


def test_a_row_that_is_half_written_is_read_as_of_now(store):
    """The process died between the two views: the newer half is there, the older half is of before the last event."""
    older = store.world.folder.now(["ann"])
    store.world.append(("ann", "d'e", 40))
    store.reader.refresh(["ann"])
    position = older["log_position"][0]
    store.set("user_context", "ann", "log_position", int64_val=position)
    store.set("user_context", "ann", "event_count", int64_val=older["event_count"][0])
    assert store.read("ann") == store.folded("ann")
    assert store.read("ann")[0].history_items[-1] == "d'e"


def test_a_damaged_row_of_a_user_whom_nobody_knows_is_a_fallback_with_its_reason(store):
    store.reader.refresh(["böb"])
    for view in ("user_context", "user_seen"):
        store.rename(view, "böb", "ghost")
    store.set("user_seen", "ghost", "seen_counts", int64_list_val=[])
    ghost, stranger, ann = store.read("ghost", "stranger", "ann")
    assert (ghost.user_id, ghost.present, ghost.history_items, ghost.degraded) == ("ghost", False, (), "broken_row")
    assert stranger.degraded == "unknown_user"
    assert [ann] == store.folded("ann")
    assert set(ghost.profile) == set(store.world.schema.user_columns)


def test_a_user_with_nulls_is_known_and_a_user_without_a_row_is_not(store):
    null, stranger = store.read("null", "stranger")
    assert (null.present, null.degraded, set(null.profile.values())) == (True, None, {None})
    assert (stranger.present, stranger.degraded) == (False, "unknown_user")
