"""`recsys models` and `recsys gc`: what people read, and the last line of --json."""

import json

import pytest
import typer
from typer.testing import CliRunner

from recsys.cli import models as commands
from recsys.data.schema import WorkspaceSchema
from recsys.jobs.models import Collected, ListedVersion
from recsys.registry.history import Move, record_move
from recsys.workspace import Workspace

LISTED = ListedVersion(
    version="3",
    aliases=("champion",),
    used_by=("service, process 7",),
    run_id="r",
    content_hash="c0ffee",
    metrics={"validation.ndcg_at_10": 0.25},
    lineage={"log_position": "12", "code_commit": "abc", "trained_at": "2026-01-01", "data_fingerprint": "f1"},
)


@pytest.fixture
def workspace(recsys_home):
    made = Workspace(name="tiny", home=recsys_home)
    made.root.mkdir(parents=True)
    WorkspaceSchema(name="tiny").save(made.schema_file)
    return made


@pytest.fixture
def run(workspace):
    app = typer.Typer()
    commands.register(app)
    return lambda *arguments: CliRunner().invoke(app, [*arguments, "--workspace", "tiny"], env={"COLUMNS": "200"})


def test_versions_are_listed_with_alias_and_holder(run, monkeypatch):
    monkeypatch.setattr("recsys.jobs.models.versions", lambda workspace: [LISTED])
    said = run("models", "list").output
    assert all(word in said for word in ("champion", "0.2500", "abc", "service, process 7"))
    assert json.loads(run("models", "list", "--json").stdout.splitlines()[-1])["versions"][0]["version"] == "3"


def test_a_version_is_shown_with_its_lineage(run, monkeypatch):
    monkeypatch.setattr("recsys.jobs.models.version", lambda workspace, number: LISTED)
    said = run("models", "show", "--version", "3").output
    assert "data_fingerprint: f1" in said
    assert "code_commit: abc" in said


def test_the_history_says_who_moved_what_when_and_why(run, workspace):
    assert "never moved" in run("models", "history").output
    move = Move(
        workspace="tiny",
        kind="rollback",
        version_from="3",
        version_to="2",
        by="grace",
        why="complaints",
        verdict="none",
    )
    record_move(workspace, move)
    said = run("models", "history").output
    assert all(word in said for word in ("rollback", "grace", "complaints", move.at[:19]))
    assert json.loads(run("models", "history", "--json").stdout.splitlines()[-1])["moves"][0]["by"] == "grace"


@pytest.mark.parametrize("dry_run", [True, False])
def test_a_clean_up_says_what_stays_and_why(run, monkeypatch, dry_run):
    found = Collected(kept={"2": "champion"}, removed=("1",), leftovers=("old",), bytes=2_500_000, dry_run=dry_run)
    monkeypatch.setattr("recsys.jobs.models.collect", lambda workspace, **asked: found)
    said = run("gc", *(["--dry-run"] if dry_run else [])).output
    assert "version 2 stays: champion" in said
    assert ("version 1 would go" if dry_run else "version 1 is removed") in said
    assert ("2.5 MB would be freed. Nothing was changed." if dry_run else "2.5 MB freed.") in said


def test_before_any_training_one_is_told_to_train(run):
    for command in (("models", "list"), ("gc",)):
        result = run(*command)
        assert result.exit_code == 2
        assert "recsys train --workspace tiny" in result.output
