"""A search on Ray Tune: the best of its trials is a configuration to train with; it sees validation only."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from recsys.cli.app import build_app
from recsys.cluster import ray_cluster
from recsys.errors import ConfigError, TrainingError
from recsys.jobs.ingest import ingest
from recsys.jobs.tune import tune
from recsys.registry.client import registry
from recsys.training.config import load_config
from recsys.training.dataset import Dataset
from recsys.tuning.space import SearchSpace
from recsys.tuning.trial import fit_and_judge
from recsys.workspace import HOME_VARIABLE, Workspace

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning:torchrec")

QUICK = ("body_training.epochs=2", "generator.epochs=1", "body_training.negatives=16")
RATES = "[body_training]\nlearning_rate = { low = 1e-3, high = 1e-2, log = true }\n"
HEADS = f"[body]\nheads = {{ choices = [1, 2, 3] }}\n{RATES}"
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def films(tmp_path_factory, imported_data):
    workspace = Workspace("films", tmp_path_factory.mktemp("home"))
    ingest(workspace, imported_data())
    return workspace


@pytest.fixture
def space(tmp_path, quick_config):
    """Three heads do not divide a width of eight: such trials fail."""
    (tmp_path / "space.toml").write_text(HEADS)
    return SearchSpace.load(tmp_path / "space.toml", quick_config(*QUICK))


@pytest.mark.slow
def test_a_trial_tells_its_body_after_each_epoch_then_the_model_and_never_sees_a_test_target(
    tmp_path, imported_data, quick_config
):
    def judged(last):
        workspace = Workspace(f"films{last is not None}", tmp_path)
        ingest(workspace, imported_data(last=last, of_last=1))
        told = []
        fit_and_judge(Dataset.load(workspace), quick_config(*QUICK), told.append)
        return [(one.epoch, one.figures) for one in told]

    usual = judged(None)
    assert [epoch for epoch, _ in usual] == [1, 2, None]
    assert all(0 <= figures["ndcg@10"] <= 1 for _, figures in usual)
    others = judged(lambda user, item: f"i{(int(item[1:]) + 7) % 25:02d}")
    assert [epoch for epoch, _ in others] == [1, 2, None]
    for (_, own), (_, other) in zip(usual, others, strict=True):
        assert own == pytest.approx(other), "the test targets had a say"


@pytest.mark.slow
def test_failed_trials_do_not_end_a_search_and_the_best_is_trained_with(films, space, quick_config, tmp_path, capsys):
    out = tmp_path / "best.toml"
    with ray_cluster():
        found = tune(films, quick_config(*QUICK), space, trials=3, out=out)
    assert capsys.readouterr().out == "", "Tune talks to nobody"
    states = {outcome.state for outcome in found.outcomes}
    assert found.outcomes[0].point == space.point_of(quick_config(*QUICK)), "the configuration itself comes first"
    assert (len(found.outcomes), found.ended) == (3, "all trials")
    assert states <= {"finished", "stopped early", "failed"}
    for outcome in found.outcomes:
        assert (outcome.state == "failed") == (outcome.point["body.heads"] == 3)
        assert outcome.state != "failed" or "does not split" in outcome.why
    judged = [outcome.value for outcome in found.outcomes if outcome.state == "finished"]
    assert found.best.value == max(judged)
    assert load_config(str(out)) == found.config == space.applied(quick_config(*QUICK), found.best.point)
    assert "within" in out.read_text().splitlines()[0]

    with registry(films) as client:
        parent = client.get_run(found.run_id)
        nested = client.search_runs(
            [parent.info.experiment_id],
            f"tags.`mlflow.parentRunId` = '{found.run_id}'",
            order_by=["attributes.start_time"],
        )
        assert parent.info.status == "FINISHED"
        assert parent.data.tags["best_trial"] == str(found.best.number)
        assert len(nested) == 3
        by_name = {run.data.tags["mlflow.runName"]: run for run in nested}
        best = by_name[f"trial {found.best.number}"]
        assert best.data.params["body.heads"] == str(found.best.point["body.heads"])
        assert found.best.value in best.data.metrics.values()
        assert {run.info.status for run in nested} <= {"FINISHED", "FAILED"}
        assert client.search_registered_models() == [], "nothing is registered"


@pytest.mark.slow
def test_when_every_trial_fails_the_message_says_why(films, quick_config, tmp_path):
    (tmp_path / "space.toml").write_text("[body]\nheads = { choices = [3] }\n")
    config = quick_config(*QUICK)
    space = SearchSpace.load(tmp_path / "space.toml", config)
    with ray_cluster(), pytest.raises(TrainingError, match="No trial of 1 came to a figure: .*does not split"):
        tune(films, config, space, trials=1, out=tmp_path / "best.toml")
    assert not (tmp_path / "best.toml").exists()


@pytest.mark.slow
def test_interrupted_it_leaves_the_best_so_far(films, tmp_path):
    out, space = tmp_path / "best.toml", tmp_path / "space.toml"
    space.write_text(RATES)
    settings = ("body.width=8", "body.heads=1", "body.layers=1", "body.length=10", *QUICK)
    command = [sys.executable, "-c", "from recsys.cli import main; main()", "tune", "--workspace", "films", "--json"]
    command += ["--trials", "500", "--out", str(out), "--space", str(space), *(f"--set={one}" for one in settings)]
    environment = os.environ | {HOME_VARIABLE: str(films.home), "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as running:
        while not out.exists() and running.poll() is None:
            time.sleep(0.2)
        running.send_signal(signal.SIGINT)
        stdout, stderr = running.communicate(timeout=120)
    assert running.returncode == 130, stderr
    told = json.loads(stdout.strip().splitlines()[-1])
    assert told["ended"] == "interrupted"
    assert 1 <= len(told["trials"]) < 500
    assert load_config(str(out)).body.width == 8
    judged = [(bool(one["figures"]), one["ndcg@10"]) for one in told["trials"] if one["ndcg@10"] is not None]
    assert (bool(told["best"]["figures"]), told["best"]["ndcg@10"]) == max(judged)


@pytest.mark.parametrize(("trials", "seconds"), [(0, None), (1, 0.0)])
def test_a_search_of_nothing_is_refused(films, space, quick_config, trials, seconds):
    with pytest.raises(ConfigError, match="at least one trial and more than 0 seconds"):
        tune(films, quick_config(*QUICK), space, trials=trials, seconds=seconds)


@pytest.mark.parametrize("name", ["best", "folder.toml", "file.txt/best.toml"])
def test_a_place_for_the_best_that_cannot_be_used_is_refused_before_any_trial(
    films, space, quick_config, tmp_path, name
):
    (tmp_path / "folder.toml").mkdir()
    (tmp_path / "file.txt").touch(mode=0o400)
    with pytest.raises(ConfigError, match=r"must end in \.toml|cannot be written"):
        tune(films, quick_config(*QUICK), space, trials=1, out=tmp_path / name)


def test_the_command_refuses_a_wrong_space_before_any_work(films, tmp_path, monkeypatch):
    monkeypatch.setenv(HOME_VARIABLE, str(films.home))
    (tmp_path / "space.toml").write_text("[body]\nwdth = { choices = [8] }\n")
    command = [
        "tune",
        "-w",
        "films",
        "--trials",
        "1",
        "--out",
        str(tmp_path / "x.toml"),
        "--space",
        f"{tmp_path}/space.toml",
    ]
    result = CliRunner().invoke(build_app(), [*command, "--json"])
    assert result.exit_code == 2
    assert "'body.wdth' is not a setting" in json.loads(result.stdout.splitlines()[-1])["message"]
