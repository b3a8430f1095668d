"""How a user stands is told by one look at the log: events, the catalogue, removals."""

import polars as pl
import pytest

from recsys.data.canonical import EVENT_SCHEMA
from recsys.events.catalogue_changes import CatalogueChanges
from recsys.events.log import EventLog
from recsys.events.removals import Removals
from recsys.events.standing import Standings


@pytest.fixture
def log(tmp_path):
    return EventLog(tmp_path / "log" / "log.sqlite")


@pytest.fixture
def standings(log):
    return Standings(log.path)


def append(log, user_id):
    number = log.position() + 1
    log.append(pl.DataFrame([(f"e{number}", user_id, "a", number, None, 1.0)], schema=EVENT_SCHEMA, orient="row"))


def test_only_the_users_own_newer_events_count(log, standings):
    append(log, "ann")
    assert standings.of("ann", 0).has_events
    append(log, "bob")
    standing = standings.of("ann", 1)
    assert standing.unchanged
    assert standing.position == 2


def test_a_change_of_the_catalogue_counts_while_it_is_made_and_then_for_whom_it_concerns(log, standings):
    append(log, "ann")
    append(log, "bob")
    with CatalogueChanges(log.path).making() as concerned:
        assert standings.of("bob", 2).otherwise
        concerned.user_ids = ["ann"]
    assert standings.of("ann", 2).otherwise
    assert standings.of("bob", 2).unchanged
    assert standings.of("ann", standings.of("ann", 2).position).unchanged


def test_a_removal_counts_for_everybody_and_names_its_user_until_it_is_complete(log, standings):
    append(log, "ann")
    append(log, "bob")
    removals = Removals(log.path)
    removals.remove_users(["ann"])
    assert standings.of("bob", 2).otherwise
    assert not standings.of("bob", 2).being_deleted
    assert standings.of("ann", 3).being_deleted
    removals.forget_names(["ann"])
    assert not standings.of("ann", 3).being_deleted


def test_a_file_that_comes_back_under_its_old_number_is_another_one(log, standings, tmp_path):
    append(log, "ann")
    first = standings.of("ann", 0)
    assert standings.of("ann", 0).file == first.file
    place, aside, other = log.path.parent, tmp_path / "aside", EventLog(tmp_path / "other" / "log.sqlite")
    append(other, "ann")
    place.rename(aside)
    other.path.parent.rename(place)
    assert standings.of("ann", 0).file != first.file
    place.rename(tmp_path / "gone")
    aside.rename(place)
    assert standings.of("ann", 0).file != first.file
