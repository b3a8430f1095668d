import shutil

import pytest
import torch

from recsys.errors import ConfigError, RegistryError, SnapshotError
from recsys.registry.client import registry
from recsys.registry.promotion import champion, champion_version, load_champion, promote
from recsys.workspace import Workspace

pytestmark = pytest.mark.slow


def _damage(workspace, how: str) -> None:
    database = workspace.tracking_database
    if how == "gone":
        database.unlink()
    elif how == "garbage":
        database.write_bytes(b"not a database at all" * 100)
    elif how == "truncated":
        database.write_bytes(database.read_bytes()[:5000])
    else:
        database.write_bytes(b"")


def test_the_champion_is_the_registry_s_word_with_its_snapshot_verified(workspace, train):
    train(), train()
    promote(workspace, 1, by="ada"), promote(workspace, 2, by="ada")
    found = champion(workspace)
    assert (found.version, found.degraded) == ("2", None)
    assert found.folder.is_relative_to(workspace.tracking_artifacts)
    assert champion_version(workspace) == "2"
    loaded = load_champion(workspace)
    assert loaded.content_hash == found.content_hash
    expected = torch.randn(3, 4, generator=torch.Generator().manual_seed(2))
    assert torch.equal(loaded.tensors["items"], expected)


def test_a_damaged_artifact_is_passed_over_for_the_local_copy(workspace, train):
    train()
    promote(workspace, by="ada")
    (champion(workspace).folder / "weights.safetensors").write_bytes(b"x")
    found = champion(workspace)
    assert found.folder.is_relative_to(workspace.snapshots)
    assert found.degraded is None
    assert load_champion(workspace).vocabulary == ("1", "20", "Amélie")


def test_an_artifact_swapped_for_another_whole_snapshot_is_not_loaded(workspace, train, make_snapshot, tmp_path):
    train()
    promote(workspace, by="ada")
    artifact = champion(workspace).folder
    shutil.rmtree(artifact)
    shutil.copytree(make_snapshot(tmp_path / "evil", seed=66).folder, artifact)
    assert champion(workspace).folder != artifact
    assert load_champion(workspace).config["seed"] == 1


def test_a_champion_damaged_everywhere_is_refused_by_name(workspace, train):
    train()
    promote(workspace, by="ada")
    artifact = champion(workspace).folder
    for folder in (artifact, workspace.snapshots / artifact.name):
        (folder / "vocabulary.json").write_text("[]")
    with pytest.raises(SnapshotError, match=r"vocabulary\.json.*vocabulary\.json"):
        champion(workspace)


@pytest.mark.parametrize("how", ["gone", "garbage", "truncated", "empty"])
def test_without_a_registry_the_last_good_champion_serves_and_says_so(workspace, train, how):
    train(), train()
    promote(workspace, 1, by="ada"), promote(workspace, 2, by="ada")
    snapshot_hash = champion(workspace).snapshot_hash
    _damage(workspace, how)
    found = champion(workspace)
    assert (found.version, found.snapshot_hash) == ("2", snapshot_hash)
    assert found.folder.is_relative_to(workspace.snapshots)
    assert found.degraded is not None
    assert "from its local copy" in found.degraded
    assert str(workspace.tracking_database) in found.degraded
    assert load_champion(workspace).config["seed"] == 2
    with pytest.raises(RegistryError):
        champion_version(workspace)


def test_reading_never_makes_a_registry(workspace, train):
    train()
    promote(workspace, by="ada")
    workspace.tracking_database.unlink()
    champion(workspace)
    assert not workspace.tracking_database.exists()


def test_a_registry_that_forgot_its_champion_is_filled_in_from_the_record(workspace, train):
    train()
    promote(workspace, by="ada")
    with registry(workspace) as client:
        client.delete_registered_model_alias(workspace.registered_model, "champion")
    found = champion(workspace)
    assert found.version == "1"
    assert "names no champion" in (found.degraded or "")


def test_a_damaged_registry_without_any_promotion_is_a_failure(workspace, train):
    train()
    _damage(workspace, "garbage")
    with pytest.raises(RegistryError, match="cannot be read"):
        champion(workspace)


def test_a_damaged_last_good_copy_is_refused_by_name(workspace, train):
    train()
    promote(workspace, by="ada")
    local = workspace.snapshots / champion(workspace).folder.name
    _damage(workspace, "gone")
    (local / "config.json").unlink()
    with pytest.raises(SnapshotError, match=r"config\.json is missing"):
        champion(workspace)


@pytest.mark.parametrize("text", ["", "[]", '{"version": "1"}', '{"version": "1", "other": "x"}'])
def test_a_damaged_champion_file_is_named(workspace, train, text):
    train()
    promote(workspace, by="ada")
    _damage(workspace, "gone")
    (workspace.root / "champion.json").write_text(text)
    with pytest.raises(SnapshotError, match=r"champion\.json is damaged"):
        champion(workspace)


def test_before_any_training_one_is_told_to_train(workspace):
    for ask in (champion, load_champion):
        with pytest.raises(ConfigError, match="recsys train --workspace tiny"):
            ask(workspace)


def test_before_any_training_one_is_told_to_train_though_another_workspace_has_models(workspace, train):
    train()
    with pytest.raises(ConfigError, match="recsys train --workspace other"):
        champion(Workspace(name="other", home=workspace.home))


def test_before_any_promotion_one_is_told_to_promote(workspace, train):
    train()
    for ask in (champion, champion_version):
        with pytest.raises(ConfigError, match="recsys promote --workspace tiny"):
            ask(workspace)


def test_a_version_that_recsys_did_not_register_is_not_loaded(workspace, train):
    train()
    with registry(workspace) as client:
        client.create_model_version(workspace.registered_model, source=workspace.tracking_artifacts.as_uri())
    with pytest.raises(RegistryError, match="was not registered by recsys"):
        promote(workspace, 2, by="mallory")
