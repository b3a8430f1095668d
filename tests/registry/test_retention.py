"""`recsys gc`: what may go goes, with its files; what somebody may still need stays."""

import os
import time

import pytest

from recsys.errors import ConfigError, RegistryError
from recsys.registry.client import registry
from recsys.registry.leases import in_use
from recsys.registry.listing import listed_version, listed_versions
from recsys.registry.moving import one_at_a_time
from recsys.registry.promotion import champion, promote, rollback
from recsys.registry.retention import collect
from recsys.registry.versions import read_version, version_numbers

pytestmark = pytest.mark.slow


def _numbers(workspace):
    with registry(workspace) as client:
        return version_numbers(client, workspace)


def _folders(workspace, version):
    with registry(workspace) as client:
        known = read_version(client, workspace, version)
    return known.artifact.parent.parent, known.local(workspace)


@pytest.fixture
def five(workspace, train):
    """Five versions; 1, 2 and 3 were champions in turn, 4 was refused and is the challenger."""
    for ndcg in (0.1, 0.2, 0.3, 0.1, 0.1):
        train(ndcg)
    for version in (1, 2, 3):
        promote(workspace, version, by="ada")
    with pytest.raises(RegistryError):
        promote(workspace, 4, by="ada")
    return workspace


def test_champion_challenger_rollback_and_the_newest_stay(five):
    folders = _folders(five, "1")
    found = collect(five, keep=1)
    assert found.removed == ("1",)
    assert found.kept == {
        "2": "what a rollback restores",
        "3": "champion",
        "4": "challenger",
        "5": "one of the 1 newest",
    }
    assert found.bytes > 0
    assert not any(folder.exists() for folder in folders)
    assert _numbers(five) == [2, 3, 4, 5]
    assert all(folder.is_dir() for folder in _folders(five, "2"))
    assert champion(five).version == "3"
    assert rollback(five, by="ada").version_to == "2"


def test_a_dry_run_says_the_same_and_touches_nothing(five):
    before = sorted(five.home.rglob("*"))
    dry = collect(five, keep=1, dry_run=True)
    assert sorted(five.home.rglob("*")) == before
    assert (dry.removed, dry.dry_run) == (("1",), True)
    assert dry.bytes == collect(five, keep=1).bytes


def test_what_is_being_used_is_never_removed(five):
    with in_use(five, "1", "service"):
        found = collect(five, keep=1)
        assert found.removed == ()
        assert found.kept["1"] == f"in use by service, process {os.getpid()}"
        assert listed_version(five, "1").used_by
    assert collect(five, keep=1).removed == ("1",)


def test_a_rollback_passes_over_champions_that_were_removed(five):
    promote(five, 5, by="ada", force=True, why="test")
    collect(five, keep=1)
    assert _numbers(five) == [3, 5]
    assert rollback(five, by="ada").version_to == "3"
    with pytest.raises(ConfigError, match="no earlier champion to go back to: version 3 is the first that is kept"):
        rollback(five, by="ada")


def test_a_clean_up_cut_short_is_finished_by_the_next(five, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("mlflow.MlflowClient.delete_model_version", lambda *arguments: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            collect(five, keep=1)
    assert _numbers(five) == [1, 2, 3, 4, 5]
    assert collect(five, keep=1).removed == ("1",)
    assert _numbers(five) == [2, 3, 4, 5]


def test_local_snapshots_of_no_version_go_once_they_are_a_day_old(five):
    old, new = five.snapshots / "nobodys", five.snapshots / ".unfinished-now"
    for folder in (old, new):
        folder.mkdir()
    day_before = time.time() - 90_000
    os.utime(old, (day_before, day_before))
    assert collect(five, keep=5).leftovers == ("nobodys",)
    assert (old.exists(), new.exists()) == (False, True)


def test_while_the_champion_is_being_moved_nothing_is_removed(five):
    with one_at_a_time(five), pytest.raises(RegistryError, match="under way"):
        collect(five, keep=1)
    assert _numbers(five) == [1, 2, 3, 4, 5]


def test_a_version_outside_the_workspace_s_folder_is_not_touched(five, tmp_path):
    with registry(five) as client:
        known = client.get_model_version(five.registered_model, "1")
        client.create_model_version(
            five.registered_model, source=(tmp_path / "a" / "model").as_uri(), run_id=known.run_id, tags=known.tags
        )
    for _ in range(2):
        with registry(five) as client:
            client.create_model_version(
                five.registered_model, source=known.source, run_id=known.run_id, tags=known.tags
            )
    with pytest.raises(RegistryError, match="outside of"):
        collect(five, keep=1)
    assert _numbers(five) == [1, 2, 3, 4, 5, 6, 7, 8]


def test_one_is_told_what_cannot_be(workspace, train):
    with pytest.raises(ConfigError, match="recsys train"):
        collect(workspace)
    train()
    with pytest.raises(ConfigError, match="at least 1"):
        collect(workspace, keep=0)


def test_versions_are_listed_with_what_they_came_from(workspace, train):
    train(0.25, tags={"log_position": "7", "code_commit": "abc"}), train(0.5)
    promote(workspace, 1, by="ada")
    first, second = listed_versions(workspace)
    assert (first.version, first.aliases, first.lineage) == (
        "1",
        ("champion",),
        {"log_position": "7", "code_commit": "abc"},
    )
    assert second.metrics["validation.ndcg_at_10"] == 0.5
    with pytest.raises(ConfigError, match="has no version 9. It has: 1, 2"):
        listed_version(workspace, "9")
