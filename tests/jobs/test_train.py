"""Training registers what it measured, sees no held-out event, and touches nothing when it fails."""

import hashlib
import json
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import typer
from typer.testing import CliRunner

from recsys.cli import train as command
from recsys.context.batch import FeatureRow
from recsys.errors import DataError, RegistryError, TrainingError
from recsys.evaluation.calibrating import CALIBRATED_ON, RULE
from recsys.events.log import EventLog
from recsys.jobs.ingest import ingest
from recsys.jobs.train import train
from recsys.registry.champion import champion
from recsys.registry.client import exists, registry
from recsys.registry.loading import load_recommender
from recsys.registry.snapshot import load_snapshot
from recsys.registry.versions import version_numbers
from recsys.workspace import Workspace

pytestmark = pytest.mark.slow


def files(workspace: Workspace) -> dict[str, str]:
    """Every file of the workspace by hash; sqlite's own are compared by what they hold, elsewhere."""
    return {
        str(path.relative_to(workspace.root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(workspace.root.rglob("*"))
        if path.is_file() and ".sqlite" not in path.name and ".db" not in path.name
    }


def made_by_training(workspace: Workspace) -> dict[str, str]:
    """All but the feature store's files: rows may be folded anew whatever comes of the model."""
    return {name: content for name, content in files(workspace).items() if not name.startswith("feature_store")}


def versions(workspace: Workspace) -> list[int]:
    with registry(workspace) as client:
        return version_numbers(client, workspace)


def test_a_run_is_registered_with_a_snapshot_that_recommends(trained_films):
    workspace, result = trained_films
    assert (result.workspace, result.model_version, result.reused, result.new_events) == ("films", "1", False, 0)
    assert versions(workspace) == [1]
    snapshot = load_snapshot(Path(result.snapshot), content_hash=result.content_hash)
    assert snapshot.lineage["log_position"] == EventLog(workspace.event_log).position()
    assert snapshot.lineage[CALIBRATED_ON] == RULE
    assert snapshot.config["training"]["body"]["width"] == 8
    recommender = load_recommender(snapshot, "1")
    [ranking] = recommender.recommend([FeatureRow(user_id=None)], k=5)
    assert len(ranking.item_ids) == 5


def test_metrics_hold_validation_and_what_it_is_compared_with_but_nothing_of_test(trained_films):
    _, result = trained_films
    assert set(result.metrics) == {
        "validation",
        *(
            f"validation_{name}"
            for name in ("shared_blend", "body", "memory", "short", "long", "long_term", "popularity")
        ),
    }
    assert 0 < result.metrics["validation"]["ndcg@10"] <= result.metrics["validation"]["hr@10"] <= 1
    plain = result.as_dict()
    assert {"run_id", "model_version", "seconds", "metrics"} <= set(plain)
    assert json.loads(json.dumps(plain)) == plain


def test_test_targets_reach_no_byte_of_the_model(quick_body, imported_data, quick_config, trained_films, recsys_home):
    workspace = Workspace("films", recsys_home)
    further = {f"i{n:02d}": f"i{(n + 8) % 25:02d}" for n in range(25)}
    ingest(workspace, imported_data(last=lambda user, item: further[item], of_last=1))
    result = train(workspace, quick_config())
    assert result.content_hash == trained_films[1].content_hash
    assert result.metrics == trained_films[1].metrics


def test_validation_targets_reach_no_weight(quick_body, imported_data, quick_config, trained_films, recsys_home):
    """Other items as validation and test targets: the same tensors, other probabilities and validation figures."""
    workspace = Workspace("films", recsys_home)
    further = {f"i{n:02d}": f"i{(n + 8) % 25:02d}" for n in range(25)}
    ingest(workspace, imported_data(last=lambda user, item: further[item]))
    result = train(workspace, quick_config())
    one = load_snapshot(Path(trained_films[1].snapshot)).tensors
    tensors = load_snapshot(Path(result.snapshot)).tensors
    assert tensors.keys() == one.keys()
    for name, tensor in tensors.items():
        assert torch.equal(tensor, one[name]), name
    assert result.content_hash != trained_films[1].content_hash, "probabilities go by validation targets"
    assert result.metrics["validation"] != trained_films[1].metrics["validation"]
    [handed] = quick_body
    assert Counter(handed.lengths.tolist()) == {8 - 2 - 3: 40}, "heads learn from the last three training events"


def test_a_second_workspace_leaves_the_first_ones_champion_and_files_alone(
    quick_body, imported_data, quick_config, films
):
    before, log, served = files(films), EventLog(films.event_log).read().rows(), champion(films)
    toys = Workspace("toys", films.home)
    ingest(toys, imported_data(users=20, events=6))
    assert train(toys, quick_config()).model_version == "1"
    assert files(films) == before
    assert EventLog(films.event_log).read().rows() == log
    assert champion(films) == served
    assert versions(films) == [1]


def nan_body(fit):
    def broken(*arguments, **named):
        run = fit.quick_body(*arguments, **named)
        run.expert.items[3] = torch.nan
        return run

    return "fit_body_expert", broken


def infinite_memory(fit):
    def broken(*arguments, **named):
        fitted = fit.whole(*arguments, **named)
        fitted.model.network.others["memory"].weights[0, 3, 3] = torch.inf
        return fitted

    return "fit_model", broken


@pytest.mark.parametrize("break_it", [nan_body, infinite_memory])
def test_a_run_that_comes_to_nan_registers_nothing(monkeypatch, quick_body, quick_config, films, break_it):
    from recsys.training import fit, stages

    originals = SimpleNamespace(quick_body=stages.fit_body_expert, whole=fit.fit_model)
    name, broken = break_it(originals)
    monkeypatch.setattr(stages if name == "fit_body_expert" else fit, name, broken)
    before = made_by_training(films)
    with pytest.raises(TrainingError, match="not finite"):
        train(films, quick_config())
    assert versions(films) == [1]
    assert made_by_training(films) == before
    assert champion(films).version == "1"


def test_a_model_that_finds_nothing_at_all_is_not_registered(monkeypatch, quick_body, quick_config, films):
    nothing = {"model": {"ndcg@10": 0.0, "hr@10": 0.0}}
    monkeypatch.setattr("recsys.jobs.registering.evaluate_split", lambda *_: nothing)
    with pytest.raises(TrainingError, match="no validation target at all"):
        train(films, quick_config())
    assert versions(films) == [1]


def test_a_first_run_that_fails_leaves_no_registry(imported_data, quick_config, recsys_home):
    workspace = Workspace("few", recsys_home)
    ingest(workspace, imported_data(users=5))
    with pytest.raises(DataError, match="Only 5 users"):
        train(workspace, quick_config())
    assert not exists(workspace)
    assert not workspace.snapshots.exists()


def test_a_damaged_registry_is_told_before_anything_is_fitted(quick_body, imported_data, quick_config, recsys_home):
    workspace = Workspace("films", recsys_home)
    ingest(workspace, imported_data())
    workspace.tracking_database.parent.mkdir(parents=True)
    workspace.tracking_database.write_bytes(b"not a database at all" * 100)
    with pytest.raises(RegistryError, match="cannot be read"):
        train(workspace, quick_config())
    assert quick_body == []


def test_users_of_two_events_each_cannot_be_evaluated(quick_body, imported_data, quick_config, recsys_home):
    workspace = Workspace("short", recsys_home)
    ingest(workspace, imported_data(events=2))
    with pytest.raises(DataError, match="No user has 3 positive events"):
        train(workspace, quick_config())
    assert quick_body == [], "told before anything was fitted"


@pytest.fixture
def run():
    app = typer.Typer()
    command.register(app)
    return lambda *arguments: CliRunner().invoke(app, list(arguments))


def test_the_commands_last_line_is_the_result(run, quick_body, films):
    settings = [
        part for setting in ("body.width=8", "body.length=10", "generator.epochs=1") for part in ("--set", setting)
    ]
    outcome = run("--workspace", "films", "--json", *settings)
    assert outcome.exit_code == 0, outcome.output
    last = json.loads(outcome.stdout.splitlines()[-1])
    assert last["model_version"] == "2"
    assert last["run_id"]
    assert last["seconds"] > 0
    assert 0 < last["metrics"]["validation"]["ndcg@10"] <= last["metrics"]["validation"]["hr@10"]
    assert outcome.stdout.count("\n") == 1, "stdout is for machines"
    assert "Registered version 2" in outcome.stderr
    assert champion(films).version == "1", "training promotes nothing"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--workspace", "nowhere"), "There is no workspace 'nowhere'"),
        (("--workspace", "films", "--config", "fancy"), "There is no configuration 'fancy'"),
        (("--workspace", "films", "--set", "bdy.width=3"), "'bdy' is not a setting"),
        (("--workspace", "films", "--set", "body.width=eight"), "body.width = 'eight'"),
    ],
)
def test_a_mistake_ends_with_2_and_says_what_to_do(run, films, arguments, told):
    outcome = run(*arguments, "--json")
    assert outcome.exit_code == 2
    assert told in json.loads(outcome.stdout.splitlines()[-1])["message"]
    assert "Traceback" not in outcome.output
