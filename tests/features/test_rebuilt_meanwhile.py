"""While the feature store is built anew, and after that was interrupted, a running reader's answers stay exact."""

from __future__ import annotations

import pytest

from recsys.context.rows import feature_rows, unknown_user
from recsys.failpoints import Failpoint
from recsys.jobs import materialise as job

pytestmark = pytest.mark.slow

EVERYBODY = ("ann", "silent", "stranger")


class Interrupted(BaseException):
    """The process ended here."""


@pytest.fixture
def stored(world):
    from recsys.context.reader import FeastReader

    world.append(("ann", "a", 10), ("ann", "b", 20))
    job.materialise(world.workspace)
    world.reader = FeastReader(world.workspace, world.schema)
    assert read(world) == truth(world)
    return world


def read(world):
    return world.reader.online(EVERYBODY)


def truth(world):
    rows = feature_rows(world.folder.now(EVERYBODY).to_dict(as_series=False), world.schema)
    known = {row.user_id: row for row in rows}
    return [known.get(user, unknown_user(user, world.schema)) for user in EVERYBODY]


def test_between_any_two_steps_of_a_rebuild_reads_say_what_log_and_catalogue_say(stored, monkeypatch):
    passed = []

    def look(point: Failpoint) -> None:
        passed.append(point)
        assert read(stored) == truth(stored)

    monkeypatch.setattr(job, "reached", look)
    monkeypatch.setattr(job, "finish_deletions", lambda _: look("nothing is there"))
    job.materialise(stored.workspace, rebuild=True)
    assert passed[:2] == ["nothing is there", Failpoint.MATERIALISE_APPLIED]
    assert [row.degraded for row in read(stored)] == [None, None, "unknown_user"]


def test_after_a_rebuild_that_was_interrupted_a_user_of_the_catalogue_alone_is_known(stored, monkeypatch):
    from recsys.context.reader import FeastReader

    def stop(point: Failpoint) -> None:
        if point == Failpoint.MATERIALISE_APPLIED:
            raise Interrupted

    monkeypatch.setattr(job, "reached", stop)
    with pytest.raises(Interrupted):
        job.materialise(stored.workspace, rebuild=True)
    stored.reader = FeastReader(stored.workspace, stored.schema)
    assert read(stored) == truth(stored)
    assert read(stored)[1].present


def test_a_removal_that_was_interrupted_is_completed_by_the_next_one(stored, monkeypatch):
    from recsys.context import removal

    with monkeypatch.context() as broken:
        broken.setattr(removal.shutil, "rmtree", lambda *_, **__: None)
        removal.remove_store(stored.workspace)
    assert list(stored.workspace.root.glob(".feature_store.*"))
    assert not stored.workspace.feature_store.exists()
    removal.remove_leftovers(stored.workspace)
    assert not list(stored.workspace.root.glob(".feature_store.*"))
