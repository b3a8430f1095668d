"""Whom a batch is for: everybody known, or those of a file; as of the moment after the last event."""

from dataclasses import replace

import polars as pl
import pytest

from recsys.batch.users import audience
from recsys.context.moments import CLOCK_SKEW
from recsys.data.catalogue import Catalogue
from recsys.data.schema import WorkspaceSchema
from recsys.errors import DataError
from recsys.events.catalogue_changes import CatalogueChanges
from recsys.events.log import EventLog
from recsys.events.removals import Removals
from recsys.workspace import Workspace

SCHEMA = WorkspaceSchema(name="films")


def events(*rows):
    return pl.DataFrame(
        [(f"{user}-{item}", user, item, at, None, None) for user, item, at in rows],
        schema={
            "event_id": pl.String,
            "user_id": pl.String,
            "item_id": pl.String,
            "occurred_at": pl.Int64,
            "event": pl.String,
            "value": pl.Float32,
        },
        orient="row",
    )


def named(found):
    return [user_id for block in found.users.blocks() for user_id in block]


@pytest.fixture
def workspace():
    made = Workspace.named("films")
    made.root.mkdir(parents=True)
    happened = events(("bob", "a", 100), ("ann", "a", 200), ("ann", "b", 200), ("ann", "c", 200))
    EventLog(made.event_log).append(happened)
    users = pl.DataFrame({"user_id": ["zoe", "bob"]})
    Catalogue.empty(SCHEMA).updated(users, Catalogue.empty(SCHEMA).items, happened).save(made)
    SCHEMA.save(made.schema_file)
    return made


def test_everybody_is_whoever_the_log_or_the_catalogue_knows(workspace):
    assert named(audience(workspace, SCHEMA)) == ["ann", "bob", "zoe"]


@pytest.mark.parametrize("at_once", [1, 2])
def test_looking_at_fewer_users_at_a_time_finds_the_same(workspace, monkeypatch, at_once):
    whole = audience(workspace, SCHEMA, now=1_000)
    monkeypatch.setattr("recsys.batch.users._USERS_AT_ONCE", at_once)
    parts = audience(workspace, SCHEMA, now=1_000)
    assert named(parts) == named(whole)
    assert replace(parts, users=whole.users) == whole


def test_the_default_moment_is_after_the_last_of_tied_events(workspace):
    found = audience(workspace, SCHEMA)
    assert found.as_of == 203
    assert found.events_before == 4


def test_an_event_that_arrives_late_shows_in_the_count_before_the_moment(workspace):
    before = audience(workspace, SCHEMA, as_of=150)
    EventLog(workspace.event_log).append(events(("bob", "late", 50)))
    after = audience(workspace, SCHEMA, as_of=150)
    assert (before.events_before, after.events_before) == (1, 2)


def test_as_many_other_events_before_the_moment_are_told_apart(workspace):
    before = audience(workspace, SCHEMA, as_of=150)
    Removals(workspace.event_log).remove_users(["bob"])
    EventLog(workspace.event_log).append(events(("ann", "late", 50)))
    after = audience(workspace, SCHEMA, as_of=150)
    assert before.events_before == after.events_before == 1
    assert before.newest_event < after.newest_event


def test_a_change_of_profiles_is_told_by_its_position(workspace):
    before = audience(workspace, SCHEMA)
    with CatalogueChanges(workspace.event_log).making() as concerned:
        concerned.user_ids = ["zoe"]
    after = audience(workspace, SCHEMA)
    assert (before.catalogue_position, after.catalogue_position) == (0, EventLog(workspace.event_log).position())


def test_an_event_after_the_moment_changes_nothing(workspace):
    before = audience(workspace, SCHEMA, as_of=150, now=1_000)
    EventLog(workspace.event_log).append(events(("bob", "new", 500)))
    after = audience(workspace, SCHEMA, as_of=150, now=1_000)
    assert replace(after, log_position=before.log_position, users=before.users) == before


def test_events_that_lie_in_the_future_are_counted_until_they_have_happened(workspace):
    EventLog(workspace.event_log).append(events(("bob", "new", 10**12)))
    early, late = (audience(workspace, SCHEMA, now=now) for now in (10**12 - CLOCK_SKEW - 1, 10**12 - CLOCK_SKEW))
    assert (early.events_before, early.events_ahead, late.events_ahead) == (5, 1, 0)
    assert early.as_of == late.as_of
    clockless = audience(workspace, replace(SCHEMA, clock=False), now=0)
    assert (clockless.latest, clockless.events_ahead) == (None, 0)


def test_an_empty_log_says_what_to_do():
    empty = Workspace.named("empty")
    empty.root.mkdir(parents=True)
    with pytest.raises(DataError, match="recsys data import"):
        audience(empty, SCHEMA)


def test_users_of_a_file_come_each_once_in_its_order(workspace, tmp_path):
    (tmp_path / "users.txt").write_text("7\n3\n\n7\n")
    assert named(audience(workspace, SCHEMA, users_file=tmp_path / "users.txt")) == ["7", "3"]
