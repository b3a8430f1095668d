"""What cannot fit into memory is refused before anything is fitted or stored."""

import json

import pytest
from typer.testing import CliRunner

from recsys.cli.app import build_app
from recsys.errors import ConfigError
from recsys.jobs.ingest import ingest
from recsys.jobs.train import train
from recsys.workspace import HOME_VARIABLE, Workspace

AVAILABLE = "recsys.training.memory_estimate.available_memory"


@pytest.fixture
def films(tmp_path, imported_data, monkeypatch):
    workspace = Workspace("films", tmp_path)
    ingest(workspace, imported_data())
    monkeypatch.setenv(HOME_VARIABLE, str(tmp_path))
    return workspace


def test_training_is_refused_before_anything_is_fitted(films, quick_body, quick_config, monkeypatch):
    monkeypatch.setattr(AVAILABLE, lambda: 1_000_000_000)
    with pytest.raises(ConfigError, match=r"does not fit into memory: .* 1\.0 GB are available"):
        train(films, quick_config())
    assert quick_body == []
    assert not films.snapshots.exists()
    assert not films.tracking_database.exists()


def test_the_command_says_so_with_the_code_of_a_mistake(films, monkeypatch):
    monkeypatch.setattr(AVAILABLE, lambda: 1_000_000_000)
    result = CliRunner().invoke(build_app(), ["train", "--workspace", "films", "--json"])
    assert result.exit_code == 2
    told = json.loads(result.stdout.strip().splitlines()[-1])
    assert told["error"] == "ConfigError"
    assert "lower workers" in told["message"]
