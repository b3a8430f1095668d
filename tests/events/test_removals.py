"""What is removed is gone from reads at once and from the bytes in the end; positions never go back; nobody returns."""

import sqlite3
import time
from contextlib import closing
from pathlib import Path

import polars as pl
import pytest

from recsys.data.canonical import EVENT_SCHEMA
from recsys.events.lease import FoldLease
from recsys.events.log import EventLog
from recsys.events.removals import Removals

NOW = time.time_ns() // 1000
LATER = NOW + 10**12


def events(*rows):
    return pl.DataFrame([(*row, None, 1.0) for row in rows], schema=EVENT_SCHEMA, orient="row")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "log" / "log.sqlite"


@pytest.fixture
def log(path):
    filled = EventLog(path)
    filled.append(events(("1", "ann", "a", 10), ("2", "bob", "a", 20), ("3", "ann", "b", 30)))
    return filled


@pytest.fixture
def removals(log, path):
    return Removals(path)


def test_a_deleted_users_events_are_gone_and_nobody_elses(log, removals):
    assert removals.remove_users(["ann"]) == 2
    assert log.read()["user_id"].to_list() == ["bob"]


def test_a_deletion_takes_a_position_of_its_own_and_no_sequence_comes_twice(log, removals):
    removals.remove_users(["ann"])
    assert log.position() == 4
    appended = log.append(events(("4", "bob", "b", 40)))
    assert (appended.first_sequence, appended.last_sequence) == (5, 5)
    assert log.read()["log_sequence"].to_list() == [2, 5]


def test_an_empty_log_can_be_asked_to_delete(path):
    removals = Removals(path)
    assert removals.remove_users(["nobody"]) == 0
    assert EventLog(path).append(events(("1", "ann", "a", 10))).last_sequence == 2


def test_deleting_again_is_harmless_and_moves_the_moment_on(log, removals):
    removals.remove_users(["ann"])
    first = removals.deleted(["ann", "bob"])
    assert removals.remove_users(["ann"]) == 0
    assert set(first) == {"ann"}
    assert removals.deleted(["ann"])["ann"] > first["ann"]


def test_an_old_event_of_a_deleted_user_is_withheld_and_a_new_one_taken(log, removals):
    removals.remove_users(["ann"])
    appended = log.append(events(("1", "ann", "a", 10), ("5", "ann", "c", LATER), ("2", "bob", "a", 20)))
    assert (appended.accepted, appended.duplicates, appended.withheld) == (1, 1, 1)
    assert log.read(["ann"])["item_id"].to_list() == ["c"]


def test_an_interrupted_deletion_is_remembered_by_name_until_it_is_cleaned_up(log, removals, path):
    removals.remove_users(["ann", "bob"])
    again = Removals(path)
    assert sorted(again.being_deleted()) == ["ann", "bob"]
    assert not again.are_done()
    again.forget_names(["ann"])
    assert again.being_deleted() == ["bob"]
    again.forget_names(["bob"])
    assert not again.are_done(), "bytes may linger"
    again.scrub()
    assert again.are_done()
    assert set(again.deleted(["ann", "bob", "carl"])) == {"ann", "bob"}


def test_a_user_whom_an_earlier_version_took_with_a_nul_can_be_deleted_and_is_nobody_elses_reading(log, removals):
    with log._database.writing() as connection:
        connection.execute("UPDATE events SET user_id = ? WHERE event_id = '3'", ["ann\0x"])
    assert log.read(["ann\0x"]).height == 0
    assert removals.remove_users(["ann\0x"]) == 1
    removals.forget_names(removals.being_deleted())
    removals.scrub()
    assert removals.are_done()
    assert log.read(["ann"])["event_id"].to_list() == ["1"]


def test_no_byte_of_a_deleted_user_is_left_in_any_file_of_the_log(path, files_with):
    log, removals = EventLog(path), Removals(path)
    for block in range(40):  # many small appends split pages, which copies cells
        rows = [(f"{user}-{block}-{n}", user, "x" * n, n) for n in range(20) for user in ("unmistakable", f"u{n}")]
        log.append(events(*rows))
    reader = EventLog(path)
    assert reader.read(["unmistakable"]).height == 800
    assert files_with(path.parent, "unmistakable")
    removals.remove_users(["unmistakable"])
    removals.forget_names(["unmistakable"])
    removals.scrub()
    assert files_with(path.parent, "unmistakable") == []
    assert reader.count() == 800
    assert files_with(path.parent, "u19-39-19")


def free_pages(log):
    return log._database.connection().execute("PRAGMA freelist_count").fetchone()[0]


def with_free_pages(log):
    log.append(events(*((f"x{n}", "filler", "x" * 500, n) for n in range(400))))
    with log._database.writing() as connection:
        connection.execute("DELETE FROM events WHERE user_id = 'filler'")
    assert free_pages(log)


def test_a_user_of_whom_the_log_holds_nothing_is_noted_without_the_id_and_nothing_is_rewritten(log, removals, path):
    removals.remove_users(["ann"])
    removals.forget_names(["ann"])
    removals.scrub()
    first, position = removals.deleted(["ann"]), log.position()
    with_free_pages(log)
    assert removals.remove_users(["ann", "unmistakable"], nameless=["ann", "unmistakable"]) == 0
    assert (removals.being_deleted(), removals.are_done()) == ([], True)
    removals.scrub()
    assert free_pages(log), "the file was not written anew"
    assert removals.deleted(["ann"])["ann"] > first["ann"], "what happened until now is withheld"
    assert removals.deleted_after(["ann", "unmistakable"], position) == ["ann", "unmistakable"]
    assert log.append(events(("8", "ann", "a", NOW), ("9", "unmistakable", "a", NOW))).withheld == 2


@pytest.mark.parametrize("killed_before", ["cleaning", "scrubbing"])
def test_a_deletion_that_was_killed_is_scrubbed_by_the_next_one_of_the_same_user(log, removals, killed_before):
    removals.remove_users(["ann"])
    if killed_before == "scrubbing":
        removals.forget_names(["ann"])
    with_free_pages(log)
    assert removals.remove_users(["ann"], nameless=["ann"]) == 0
    assert removals.being_deleted() == ["ann"]
    removals.forget_names(["ann"])
    removals.scrub()
    assert (free_pages(log), removals.are_done()) == (0, True)


def test_whoever_has_events_is_noted_by_name_whatever_was_thought(log, removals):
    assert removals.remove_users(["ann"], nameless=["ann"]) == 2
    assert removals.being_deleted() == ["ann"]


def test_the_hash_of_a_deleted_user_depends_on_the_log(log, removals, path, tmp_path):
    other = tmp_path / "other.sqlite"
    stored = []
    for file in (path, other):
        Removals(file).remove_users(["ann"])
        connection = EventLog(file)._database.connection()
        stored.append(connection.execute("SELECT digest FROM removals").fetchone()[0])
    assert stored[0] != stored[1]


def test_pruning_keeps_each_users_newest_by_time_whatever_their_order_in_the_log(log, removals):
    log.append(events(("4", "ann", "late", 5), ("5", "bob", "c", 35)))
    assert removals.prune(before=35, keep_last=1) == 3
    assert log.read()["event_id"].to_list() == ["3", "5"]
    assert log.position() == 6


def test_the_newest_pruning_is_known_after_it_is_complete(log, removals):
    assert removals.last_pruned_at() is None
    removals.prune(before=25, keep_last=0)
    removals.scrub()
    position = log.position()
    assert (removals.pruned_at(), removals.last_pruned_at()) == (None, position)
    removals.remove_users(["ann"])
    assert removals.last_pruned_at() == position


def test_pruning_nothing_leaves_the_log_as_it_was(log, removals):
    assert removals.prune(before=10, keep_last=0) == 0
    assert (log.position(), removals.are_done()) == (3, True)


def test_rows_folded_before_a_removal_are_known_to_be_wrong_and_later_ones_not(log, removals):
    removals.remove_users(["ann"])
    assert removals.felt_by(["ann", "bob"], after=3) == [("ann", 4)]
    assert removals.felt_by(["bob"], after=3) == []
    assert removals.felt_by(["ann"], after=4) == []
    removals.prune(before=25, keep_last=0)
    assert removals.felt_by(["bob"], after=4) == [(None, 5)]


def test_deleting_and_leasing_share_the_file(log, removals, path):
    lease = FoldLease(path)
    token = lease.acquire("maintenance")
    removals.remove_users(["ann"])
    removals.scrub()
    assert lease.renew(token)


def restored_from(path: Path, target: Path) -> Path:
    """A copy of the log as a backup makes it."""
    with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(target)) as copy:
        source.backup(copy)
    return target


def test_a_deletion_that_a_restored_log_takes_over_keeps_its_moment(log, removals, path, tmp_path):
    restored = restored_from(path, tmp_path / "restored.sqlite")
    removals.remove_users(["ann", "unseen"])
    deleted_at = removals.deleted(["ann", "unseen"])
    again = Removals(restored)
    assert again.take_over(removals, ["ann", "bob"]) == ["ann"]
    assert again.deleted(["ann", "unseen"]) == deleted_at
    came_back = EventLog(restored).append(events(("9", "ann", "a", deleted_at["ann"] + 1)))
    assert (came_back.accepted, came_back.withheld) == (1, 0)


def test_deletions_of_a_log_of_another_origin_are_taken_over_of_whom_the_backup_holds(log, path, tmp_path):
    other = Removals(tmp_path / "other.sqlite")
    other.remove_users(["ann"])
    again = Removals(path)
    assert again.take_over(other, ["ann", "bob"]) == ["ann"]
    assert again.deleted(["ann"]) == other.deleted(["ann"])
    assert log.read(["ann"]).height == 0
    assert again.take_over(other, ["ann", "bob"]) == []
