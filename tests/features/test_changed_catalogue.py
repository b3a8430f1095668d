"""A second import is felt at the next read: profiles, new users, categories of items; nobody else is folded again."""

from __future__ import annotations

import polars as pl
import pytest

from recsys.context.rows import feature_rows, unknown_user
from recsys.data.canonical import EVENT_SCHEMA
from recsys.data.imported import ImportedData
from recsys.events.catalogue_changes import CatalogueChanges
from recsys.events.lease import FoldLease
from recsys.events.outrun import Outruns
from recsys.jobs.ingest import ingest
from recsys.jobs.materialise import materialise

pytestmark = pytest.mark.slow

EVERYBODY = ("ann", "böb", "silent", "newbie", "stranger")


@pytest.fixture
def stored(world):
    """A materialised workspace and a reader that is running."""
    from recsys.context.reader import FeastReader

    world.append(("ann", "a", 10), ("ann", "b", 20), ("böb", "b", 30))
    materialise(world.workspace)
    world.reader = FeastReader(world.workspace, world.schema)
    return world


def import_again(world, users=(), items=()):
    """Rows as (id, a column's new value): age of users, genre of items."""
    typed = (
        pl.DataFrame({"user_id": [user for user, _ in users], "age": [age for _, age in users]}),
        pl.DataFrame({"item_id": [item for item, _ in items], "genre": [genre for _, genre in items]}),
    )
    kinds = (world.schema.users_frame_schema(), world.schema.items_frame_schema())
    frames = [
        pl.concat([pl.DataFrame(schema=kind), frame.cast({name: kind[name] for name in frame.columns})], how="diagonal")
        for frame, kind in zip(typed, kinds, strict=True)
    ]
    nothing = pl.DataFrame(schema=EVENT_SCHEMA)
    ingest(world.workspace, ImportedData("again", nothing, *frames, world.schema))


def truth(world):
    rows = feature_rows(world.folder.now(EVERYBODY).to_dict(as_series=False), world.schema)
    known = {row.user_id: row for row in rows}
    return [known.get(user, unknown_user(user, world.schema)) for user in EVERYBODY]


def test_a_new_profile_and_a_new_user_are_read_at_once_and_nobody_else_is_folded_again(stored):
    import_again(stored, users=[("ann", 99.0), ("newbie", 1.0)])
    assert stored.reader.online(EVERYBODY) == truth(stored)
    assert [row.profile["age"] for row in truth(stored)] == [99.0, None, -1.0, 1.0, None]
    assert [row.present for row in truth(stored)] == [True, True, True, True, False]
    positions = stored.reader._store.read_online(EVERYBODY)["log_position"]
    outruns = Outruns(stored.log, "small-world")
    assert outruns.of(EVERYBODY[:3], positions[:3]).users == ["ann"]


def test_rows_of_past_moments_feel_a_new_profile_too(stored):
    import_again(stored, users=[("ann", 99.0)])
    [then, other] = stored.reader.as_of(["ann", "silent"], [15, 15])
    assert (then.profile["age"], then.history_items, other.profile["age"]) == (99.0, ("a",), -1.0)


def test_new_categories_of_an_item_are_felt_by_all_who_may_have_it(stored):
    import_again(stored, items=[("b", ["quite new"])])
    assert stored.reader.online(EVERYBODY) == truth(stored)
    assert "genre=quite new" in stored.reader.online(["böb"])[0].affinity_names


def test_items_that_nobody_used_change_nobodys_row(stored):
    position = stored.log.position()
    import_again(stored, items=[("unsold", ["other"]), ("new", ["z"])])
    assert stored.log.position() == position


def test_changed_users_rows_are_folded_in_the_background(stored):
    import_again(stored, users=[("ann", 99.0), ("newbie", 1.0)])
    token = FoldLease(stored.workspace.event_log).acquire("serving")
    while stored.reader.catch_up(token):
        pass
    rows = stored.reader._store.read_online(["ann", "newbie"])
    assert [rows["profile_age"][n] for n in (0, 1)] == [99.0, 1.0]


def test_an_import_that_was_interrupted_leaves_reads_exact_and_the_next_materialisation_completes_it(stored):
    changes = CatalogueChanges(stored.workspace.event_log)
    users = pl.read_parquet(stored.workspace.users_file)
    stored.save_users(users.with_columns(age=pl.lit(7.0)))
    with pytest.raises(KeyboardInterrupt), changes.making():
        raise KeyboardInterrupt
    assert stored.reader.online(EVERYBODY) == truth(stored)
    assert stored.reader.online(["ann"])[0].profile["age"] == 7.0
    assert not materialise(stored.workspace).reused
    assert changes.felt_by(EVERYBODY, after=stored.log.position()) == []
    assert stored.reader.online(EVERYBODY) == truth(stored)
