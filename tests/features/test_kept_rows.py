"""A row that a reader keeps is read from nowhere as long as it holds.

That it is always what the log says, whatever happens in between, is the parity machine's to show.
"""

from __future__ import annotations

import pytest

from recsys.context.rows import feature_rows
from recsys.context.user_memory import UserMemory
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


def test_nothing_is_kept_of_strangers_nor_of_whoever_was_forgotten(kept):
    kept.reader.online(["nobody"])
    assert set(kept.memory.user_ids()) == set()
    kept.reader.online(["ann"])
    assert set(kept.memory.user_ids()) == {"ann"}
    kept.memory.forget(["ann"])
    kept.reader.online(["ann"])
    assert set(kept.memory.user_ids()) == set()
