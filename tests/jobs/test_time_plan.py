"""`recsys train --budget` trains and registers the epochs that it planned, and says so."""

import json

import pytest
from typer.testing import CliRunner

from recsys.cli.app import build_app
from recsys.errors import ConfigError
from recsys.jobs.ingest import ingest
from recsys.jobs.time_plan import plan_training
from recsys.registry.chosen import chosen_version
from recsys.workspace import HOME_VARIABLE, Workspace


@pytest.fixture
def films(tmp_path, imported_data, monkeypatch, random_body_fit):
    """A workspace whose body takes no time; the epochs that were asked of it."""
    workspace = Workspace("films", tmp_path)
    ingest(workspace, imported_data())
    monkeypatch.setenv(HOME_VARIABLE, str(tmp_path))
    asked = []

    def fit(sequences, attributes, config, progress, **kinds):
        epochs = config.body_training.epochs
        asked.append(epochs)
        stage = progress.stage("body", epochs)
        for _ in range(epochs):
            stage.advance()
        return random_body_fit(sequences, attributes, config, progress, **kinds)

    monkeypatch.setattr("recsys.training.stages.fit_body_expert", fit)
    monkeypatch.setattr("recsys.training.time_plan.fit_body_expert", fit)
    return workspace, asked


def test_a_plan_measures_and_registers_nothing(films, quick_config):
    workspace, asked = films
    plan = plan_training(workspace, quick_config("body_training.epochs=7"), 600)
    assert (plan.epochs, plan.configured_epochs) == (7, 7)
    assert asked == [2]
    assert plan_training(workspace, quick_config("body_training.epochs=7"), 0).epochs == 1
    assert not workspace.tracking_database.exists()


def test_what_does_not_fit_into_memory_is_refused_before_it_is_measured(films, quick_config, monkeypatch):
    workspace, asked = films
    monkeypatch.setattr("recsys.training.memory_estimate.available_memory", lambda: 1_000_000_000)
    with pytest.raises(ConfigError, match="does not fit into memory"):
        plan_training(workspace, quick_config(), 600)
    assert asked == []


@pytest.mark.slow
def test_the_command_trains_what_it_planned(films):
    workspace, asked = films
    settings = [f"--set={name}" for name in ("body.width=8", "body.heads=1", "body.layers=1", "generator.epochs=1")]
    command = ["train", "--workspace", "films", "--budget", "0", "--json", *settings]
    result = CliRunner().invoke(build_app(), command)
    assert result.exit_code == 0, result.output
    assert "1 of 20 epochs of the body" in result.stderr
    told = json.loads(result.stdout.strip().splitlines()[-1])
    assert told["plan"]["epochs"] == 1
    assert asked == [2, 1]
    assert chosen_version(workspace, told["model_version"]).snapshot.config["training"]["body_training"]["epochs"] == 1
