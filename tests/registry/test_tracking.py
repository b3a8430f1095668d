import math
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from recsys.errors import RegistryError
from recsys.registry import tracking
from recsys.registry.client import new_registry, registry
from recsys.registry.snapshot import load_snapshot
from recsys.registry.versions import read_version, version_numbers

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]


def test_a_run_keeps_what_went_in_and_what_came_out(workspace, train, tmp_path):
    report = tmp_path / "report.md"
    report.write_text("# Report\n")
    record = train(
        0.31,
        params={"body": {"width": 64, "dropout": 0.0}, "note": "x" * 7000, **{f"p{i}": i for i in range(150)}},
        curves={"body/loss": [3.0, 2.0, 1.5]},
        artifacts=[report],
        tags={"feast.feature_service": "context_v1", "log_position": "42"},
    )
    with registry(workspace) as client:
        run = client.get_run(record.run_id)
        curve = client.get_metric_history(record.run_id, "body/loss")
        version = client.get_model_version(workspace.registered_model, record.model_version)
        artifacts = [entry.path for entry in client.list_artifacts(record.run_id, "training")]
    assert run.info.status == "FINISHED"
    assert run.data.params["body.width"] == "64"
    assert len(run.data.params) == 153
    assert run.data.metrics["validation.ndcg_at_10"] == 0.31
    assert [(point.step, point.value) for point in curve] == [(0, 3.0), (1, 2.0), (2, 1.5)]
    assert artifacts == ["training/report.md"]
    assert run.data.tags["log_position"] == version.tags["log_position"] == "42"
    assert version.tags["feast.feature_service"] == "context_v1"


def test_versions_count_up_and_keep_every_digit_of_their_metrics(workspace, train):
    exact = math.pi / 10
    assert [train(0.3).model_version, train(exact).model_version] == ["1", "2"]
    with registry(workspace) as client:
        assert version_numbers(client, workspace) == [1, 2]
        assert read_version(client, workspace, "2").metric("validation.ndcg@10") == exact


def test_the_snapshot_lies_with_mlflow_and_locally_and_holds_no_pickle(workspace, train):
    train()
    with registry(workspace) as client:
        registered = read_version(client, workspace, "1")
    assert registered.artifact.is_relative_to(workspace.tracking_artifacts)
    assert load_snapshot(registered.artifact).content_hash == registered.content_hash
    (local,) = workspace.snapshots.iterdir()
    assert load_snapshot(local).snapshot_hash == registered.snapshot_hash
    stored = [path.suffix for path in workspace.tracking_artifacts.rglob("*") if path.is_file()]
    assert not {".pkl", ".pickle", ".pt", ".bin"} & set(stored)


def test_metrics_that_are_not_finite_register_nothing(workspace, train):
    with pytest.raises(RegistryError, match=r"not finite: validation\.hr@10, validation\.ndcg@10"):
        train(float("nan"))
    with registry(workspace) as client:
        assert version_numbers(client, workspace) == []


def test_a_run_that_cannot_be_registered_is_marked_as_failed(workspace, train, monkeypatch):
    def broken(*args: object, **kwargs: object) -> None:
        raise RuntimeError("disk full")

    monkeypatch.setattr(tracking, "package_model", broken)
    with pytest.raises(RuntimeError, match="disk full"):
        train()
    with registry(workspace) as client:
        experiment = client.get_experiment_by_name(workspace.registered_model)
        (run,) = client.search_runs([experiment.experiment_id])
        assert run.info.status == "FAILED"
        assert version_numbers(client, workspace) == []


def test_two_workspaces_of_one_home_have_models_of_their_own(workspace, train, make_snapshot, tmp_path):
    other = type(workspace)(name="other", home=workspace.home)
    train()
    record = tracking.log_run(other, snapshot=make_snapshot(tmp_path / "o"), params={}, metrics={})
    assert record.model_version == "1"
    with registry(workspace) as client:
        assert version_numbers(client, workspace) == [1]
        assert version_numbers(client, other) == [1]


def test_logging_a_run_says_nothing_and_leaves_nothing_where_it_is_called(train, tmp_path, monkeypatch, capfd):
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    train()
    said = capfd.readouterr()
    assert (said.out, said.err) == ("", "")
    assert os.listdir(here) == []


def test_telemetry_is_off(train):
    train()
    from mlflow.telemetry.utils import is_telemetry_disabled

    assert os.environ["MLFLOW_DISABLE_TELEMETRY"] == "true"
    assert is_telemetry_disabled()


def test_two_first_runs_at_once_make_one_registry(workspace):
    script = "from recsys.workspace import Workspace; from recsys.registry.client import new_registry\n"
    script += "with new_registry(Workspace.named('tiny')) as client: client.create_registered_model('m%d')"
    both = [subprocess.Popen([sys.executable, "-c", script % number], cwd=ROOT) for number in (1, 2)]
    assert [process.wait(timeout=120) for process in both] == [0, 0]
    with registry(workspace) as client:
        assert {model.name for model in client.search_registered_models()} == {"m1", "m2"}


def test_a_registry_that_could_not_be_made_leaves_nothing(workspace, monkeypatch):
    def broken(*args: object, **kwargs: object) -> None:
        raise sqlite3.OperationalError("disk full")

    monkeypatch.setattr("mlflow.MlflowClient", broken)
    with pytest.raises(RegistryError, match="disk full"), new_registry(workspace):
        pass
    assert [entry.name for entry in workspace.tracking_database.parent.iterdir()] == ["mlflow.lock"]
