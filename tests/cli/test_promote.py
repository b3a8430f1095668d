"""`recsys promote` and `recsys rollback`: messages, exit codes, the last line of --json."""

import json

import pytest
import typer
from typer.testing import CliRunner

from recsys.cli import promote as commands
from recsys.data.schema import WorkspaceSchema
from recsys.errors import ConfigError, RegistryError
from recsys.registry.history import Move
from recsys.workspace import Workspace


def _move(**changed: object) -> Move:
    move = {
        "workspace": "tiny",
        "kind": "promote",
        "version_from": "1",
        "version_to": "2",
        "by": "ada",
        "why": "",
        "verdict": "better",
    }
    return Move(**move | changed)


@pytest.fixture
def run(recsys_home):
    workspace = Workspace(name="tiny", home=recsys_home)
    workspace.root.mkdir(parents=True)
    WorkspaceSchema(name="tiny").save(workspace.schema_file)
    app = typer.Typer()
    commands.register(app)
    return lambda *arguments: CliRunner().invoke(app, [*arguments, "--workspace", "tiny"])


@pytest.fixture
def job(monkeypatch):
    """Stands in for the jobs: answers with a move or an error, remembers what it was asked."""

    class Job:
        answer: object = _move()
        asked: tuple[object, ...] = ()

        def __call__(self, *arguments: object, **named: object) -> Move:
            self.asked = (*arguments[1:], named)
            if isinstance(self.answer, Exception):
                raise self.answer
            return self.answer

    made = Job()
    monkeypatch.setattr("recsys.jobs.promote.promote", made)
    monkeypatch.setattr("recsys.jobs.promote.rollback", made)
    return made


def test_promote_hands_over_what_was_asked(run, job):
    result = run("promote", "--version", "2", "--why", "because", "--by", "ada", "--force", "--dry-run")
    assert result.exit_code == 0
    assert job.asked == ("2", {"by": "ada", "why": "because", "force": True, "dry_run": True})


def test_promote_asks_for_the_latest_in_the_name_of_the_user(run, job, monkeypatch):
    monkeypatch.setattr("getpass.getuser", lambda: "grace")
    run("promote")
    assert job.asked == (None, {"by": "grace", "why": "", "force": False, "dry_run": False})


@pytest.mark.parametrize(
    ("move", "said"),
    [
        (_move(), "Version 2 is the champion now, in place of version 1."),
        (_move(version_from=None), "Version 2 is the champion now."),
        (_move(forced=True), "Version 2 is the champion now, in place of version 1 although the policy refuses."),
        (_move(version_from="2", moved=False), "Nothing to do."),
    ],
)
def test_promote_says_what_became_of_it(run, job, move, said):
    job.answer = move
    assert run("promote").output == f"better\n{said}\n"


def test_a_dry_run_says_that_nothing_was_changed(run, job):
    job.answer = _move(moved=False)
    assert "Dry run: version 2 would become the champion. Nothing was changed." in run("promote", "--dry-run").output


def test_rollback_says_which_version_serves(run, job):
    job.answer = _move(kind="rollback", version_from="2", version_to="1")
    assert run("rollback").output == "Version 1 is the champion again, in place of version 2.\n"


@pytest.mark.parametrize("command", ["promote", "rollback"])
def test_the_last_line_of_json_is_the_move(run, job, command):
    last = json.loads(run(command, "--json").stdout.splitlines()[-1])
    assert (last["version_from"], last["version_to"], last["moved"]) == ("1", "2", True)


@pytest.mark.parametrize("command", ["promote", "rollback"])
@pytest.mark.parametrize(("error", "code"), [(ConfigError("no such version"), 2), (RegistryError("refused"), 1)])
def test_a_mistake_ends_with_2_and_a_refusal_with_1(run, job, command, error, code):
    job.answer = error
    result = run(command)
    assert result.exit_code == code
    assert str(error) in result.output
    assert "Traceback" not in result.output


@pytest.mark.parametrize("command", ["promote", "rollback"])
def test_before_any_training_one_is_told_to_train(run, command):
    result = run(command)
    assert result.exit_code == 2
    assert "recsys train --workspace tiny" in result.output


@pytest.mark.parametrize("command", ["promote", "rollback"])
def test_help_ends_with_an_example(run, command):
    assert f"Example: recsys {command} --workspace" in run(command, "--help").output.replace("\n", " ")
