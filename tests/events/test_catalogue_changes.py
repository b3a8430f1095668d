"""A change of the catalogue takes positions of the log; while it is being made, or was interrupted, no row is valid."""

import sqlite3

import polars as pl
import pytest

from recsys.data.canonical import EVENT_SCHEMA
from recsys.events.catalogue_changes import CatalogueChanges
from recsys.events.log import EventLog
from recsys.events.removals import Removals


@pytest.fixture
def log(tmp_path):
    filled = EventLog(tmp_path / "log.sqlite")
    rows = [(str(n), user, "a", 10 + n, None, 1.0) for n, user in enumerate(["ann", "bob", "ann"])]
    filled.append(pl.DataFrame(rows, schema=EVENT_SCHEMA, orient="row"))
    return filled


@pytest.fixture
def changes(log):
    return CatalogueChanges(log.path)


def change(changes, *user_ids, everybody=False):
    with changes.making() as concerned:
        concerned.user_ids, concerned.everybody = list(user_ids), everybody


def test_a_change_takes_a_position_for_each_user_and_is_felt_by_nobody_else(log, changes):
    change(changes, "bob", "new")
    assert log.position() == 5
    assert changes.felt_by(["ann", "bob", "new"], after=3) == [("bob", 4), ("new", 5)]
    assert changes.felt_by(["ann", "bob", "new"], after=4) == [("new", 5)]


def test_a_change_that_concerns_nobody_takes_no_position(log, changes):
    change(changes)
    assert (log.position(), changes.felt_by(["ann"], after=0)) == (3, [])


def test_a_change_for_everybody_is_felt_by_whoever_was_folded_before(log, changes):
    change(changes, "bob")
    change(changes, everybody=True)
    assert changes.felt_by(["ann"], after=4) == [(None, 5)]
    assert changes.felt_by(["bob"], after=5) == []


def test_while_a_change_is_being_made_everybodys_rows_are_outdated(log, changes):
    with changes.making():
        [(user, position)] = CatalogueChanges(log.path).felt_by(["ann"], after=10**12)
    assert user is None
    assert position > 10**12
    assert changes.felt_by(["ann"], after=0) == []


@pytest.mark.parametrize("completion", [lambda changes: changes.complete(), change])
def test_a_change_that_was_interrupted_concerns_everybody_once_it_is_completed(log, changes, completion):
    with pytest.raises(KeyboardInterrupt), changes.making():
        raise KeyboardInterrupt
    [(user, _)] = changes.felt_by(["ann"], after=10**12)
    assert user is None
    completion(changes)
    assert changes.felt_by(["ann"], after=3) == [(None, 4)]


def test_there_is_nothing_to_complete_where_nothing_was_interrupted(log, changes):
    change(changes, "bob")
    changes.complete()
    assert log.position() == 4


def test_whoever_folds_what_is_new_comes_by_changed_users_a_bounded_number_at_a_time(log, changes):
    change(changes, "x", "y", "z")
    assert log.users_after(2, 2) == (["ann", "x"], 4)
    assert log.users_after(4, 2) == (["y", "z"], 6)
    assert log.users_after(6, 2) == ([], 6)


def test_a_deleted_users_changes_are_forgotten(log, changes):
    change(changes, "bob", "ann")
    Removals(log.path).remove_users(["bob"])
    assert changes.felt_by(["bob", "ann"], after=0) == [("ann", 5)]


def test_a_log_of_an_earlier_layout_gets_the_table(log):
    log.close()
    with sqlite3.connect(log.path) as connection:
        connection.execute("DROP TABLE catalogue_changes")
        connection.execute("PRAGMA user_version = 3")
    connection.close()
    changes = CatalogueChanges(log.path)
    change(changes, "bob")
    assert changes.felt_by(["bob"], after=0) == [("bob", 4)]
