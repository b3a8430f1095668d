"""A row that a reader keeps is read from nowhere as long as it holds.

That it is always what the log says, whatever happens in between, is the parity machine's to show.
"""

from __future__ import annotations

import tracemalloc

import pytest

from recsys.context import catalogue_files
from recsys.context.rows import feature_rows
from recsys.context.user_memory import UserMemory
from recsys.events.removals import Removals
from recsys.jobs.delete_users import finish_deletions
from recsys.jobs.materialise import materialise

pytestmark = pytest.mark.slow


@pytest.fixture
def kept(world):
    from recsys.context.reader import FeastReader

    world.append(("ann", "a", 10), ("ann", "b", 20), ("bob", "a", 15))
    materialise(world.workspace)
    world.memory = UserMemory(10**6)
    world.reader = FeastReader(world.workspace, world.schema, memory=world.memory)
    return world


def history(world, user):
    [row] = world.reader.online([user])
    return row.history_items


def without_store(world, monkeypatch):
    """From now on whoever asks the store under Feast fails."""

    def refuse(*_):
        raise AssertionError("the store was asked")

    monkeypatch.setattr(world.reader._store, "read_online", refuse)


def test_what_holds_is_not_read_again_and_what_is_new_is_folded_on_top(kept, monkeypatch):
    assert history(kept, "ann") == ("a", "b")
    without_store(kept, monkeypatch)
    kept.append(("bob", "c", 30))
    [row] = kept.reader.online(["ann"])
    assert row.history_items == ("a", "b")
    kept.append(("ann", "c", 5))
    assert history(kept, "ann") == ("c", "a", "b")
    [again] = kept.reader.online(["ann"])
    assert again.stamp is not None
    assert again.stamp != row.stamp
    [truth] = feature_rows(kept.folder.now(["ann"]).to_dict(as_series=False), kept.schema)
    assert repr(again) == repr(truth)
    with pytest.raises(AssertionError, match="the store was asked"):
        history(kept, "bob")


def test_after_the_items_were_followed_no_fold_reads_them(kept, monkeypatch):
    assert history(kept, "ann") == ("a", "b")
    kept.workspace.items_file.touch()
    kept.reader.follow_items()

    def refuse(*_):
        raise AssertionError("the catalogue was read")

    monkeypatch.setattr(catalogue_files, "read_catalogue_file", refuse)
    kept.append(("ann", "ü", 30))
    assert history(kept, "ann") == ("a", "b", "ü")
    kept.workspace.items_file.touch()
    with pytest.raises(AssertionError, match="the catalogue was read"):
        kept.reader.follow_items()


def test_nothing_is_kept_of_strangers_nor_of_whoever_was_forgotten(kept):
    kept.reader.online(["nobody"])
    assert set(kept.memory.user_ids()) == set()
    kept.reader.online(["ann"])
    assert set(kept.memory.user_ids()) == {"ann"}
    kept.memory.forget(["ann"])
    kept.reader.online(["ann"])
    assert set(kept.memory.user_ids()) == set()


def test_a_profile_read_while_its_user_is_being_deleted_is_gone_with_the_user(kept):
    assert kept.reader.online(["silent"])[0].present
    Removals(kept.workspace.event_log).remove_users(["silent"])
    kept.reader.online(["silent"])
    finish_deletions(kept.workspace)
    [row] = kept.reader.online(["silent"])
    assert not row.present
    assert row.degraded == "unknown_user"


@pytest.mark.parametrize("letters", [4, 300])
@pytest.mark.parametrize("stored", [False, True])
def test_rows_take_no_more_than_the_bytes_they_are_counted_with(kept, letters, stored):
    for user in ("ann", "bob"):
        kept.append(*[(user, f"{number:0{letters}}", number) for number in range(1_000)])
    if stored:
        kept.reader.refresh(["ann", "bob"])
    kept.reader.online(["ann"])
    tracemalloc.start()
    before, held = tracemalloc.get_traced_memory()[0], kept.memory.held_bytes
    kept.reader.online(["bob"])
    taken, counted = tracemalloc.get_traced_memory()[0] - before, kept.memory.held_bytes - held
    tracemalloc.stop()
    assert 0.6 * counted < taken < 1.1 * counted
