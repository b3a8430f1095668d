"""`recsys doctor` at the command line: what it prints, its last line for machines, its exit code."""

from __future__ import annotations

import json

import pytest
import typer
from typer.testing import CliRunner

from recsys.cli import doctor as command
from recsys.jobs import doctor as job
from recsys.jobs.doctor import Diagnosis, Finding

FINE = Finding("Python", "ok", "CPython 3.11.7.")
NOTE = Finding("extra [text]", "note", "Not there.", "make setup EXTRAS=all")
PROBLEM = Finding("fbgemm", "problem", "Both variants are installed.", "pip uninstall fbgemm-gpu")


@pytest.fixture
def run(monkeypatch):
    app = typer.Typer()
    app.callback()(lambda: None)
    command.register(app)

    def call(findings, *arguments):
        monkeypatch.setattr(job, "diagnose", lambda: Diagnosis(tuple(findings)))
        return CliRunner().invoke(app, ["doctor", *arguments])

    return call


def test_a_fine_environment_ends_with_0(run):
    result = run([FINE, NOTE])
    assert result.exit_code == 0
    assert "All that is needed works." in result.stdout


def test_a_problem_ends_with_1_and_shows_what_mends_it(run):
    result = run([FINE, PROBLEM])
    assert result.exit_code == 1
    assert "Both variants are installed." in result.stdout
    assert "→ pip uninstall fbgemm-gpu" in result.stdout


def test_a_long_command_stays_in_one_piece(run):
    command = "python -m pip install --no-deps " + " ".join(f"package{n}==1.0" for n in range(20))
    assert f"→ {command}\n" in run([Finding("packages", "problem", "Much is missing.", command)]).stdout


def test_names_in_brackets_are_shown_as_they_are(run):
    assert "extra [text]" in run([NOTE]).stdout


def test_json_is_the_last_line_also_when_there_is_a_problem(run):
    result = run([FINE, PROBLEM], "--json")
    assert result.exit_code == 1
    last = json.loads(result.stdout.splitlines()[-1])
    assert last["healthy"] is False
    assert last["findings"][1] == PROBLEM.as_dict()


def test_a_workspace_that_is_not_there_is_a_users_mistake(run):
    result = run([FINE], "--workspace", "nowhere")
    assert result.exit_code == 2
    assert "no workspace 'nowhere'" in result.stderr
