"""The command as a whole: what it lists, how fast it starts, how it treats mistakes."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest
from typer.testing import CliRunner

from recsys import __version__
from recsys.cli.app import build_app

COMMANDS = (
    "data",
    "events",
    "features",
    "train",
    "evaluate",
    "promote",
    "rollback",
    "batch",
    "serve",
    "explain",
    "doctor",
)
SUB_APPS = ("data", "events", "features")
HEAVY = ("torch", "feast", "mlflow", "ray", "torchrec", "pandas", "sklearn", "fastapi", "polars")


@pytest.fixture
def run():
    app = build_app()
    return lambda *arguments: CliRunner().invoke(app, list(arguments))


def recsys(*arguments: str) -> subprocess.CompletedProcess[str]:
    code = "import sys; sys.argv[0] = 'recsys'; from recsys.cli import main; main()"
    return subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False)


def test_help_lists_every_command(run):
    listed = run("--help").output
    assert [command for command in COMMANDS if f" {command} " not in listed] == []


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(run, command):
    result = run(command, "--help")
    assert result.exit_code == 0
    assert "Usage:" in result.output


@pytest.mark.parametrize("command", [c for c in COMMANDS if c not in SUB_APPS])
def test_every_command_shows_an_example_and_the_common_options(run, command):
    help_text = run(command, "--help").output
    assert "Example:" in help_text
    assert "--workspace" in help_text
    assert "--json" in help_text


@pytest.mark.parametrize(
    "arguments",
    [("recommand",), ("doctor", "--jsn"), ("train", "--workspace"), ("data", "imprt")],
    ids=["unknown command", "unknown option", "option without its value", "unknown sub-command"],
)
def test_a_mistyped_call_ends_with_2_and_says_how_to_call(run, arguments):
    result = run(*arguments)
    assert result.exit_code == 2
    assert "Usage:" in result.output


def test_version_is_the_librarys(run):
    assert run("--version").output == f"recsys {__version__}\n"


@pytest.mark.slow
def test_help_starts_quickly_and_loads_nothing_heavy():
    code = (
        "import sys; from recsys.cli.app import build_app; build_app()\n"
        f"print(*[name for name in {HEAVY!r} if name in sys.modules])"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert loaded == []
    fastest = min(_seconds_of_help() for _ in range(3))
    assert fastest < 1.0


def _seconds_of_help() -> float:
    started = time.perf_counter()
    assert recsys("--help").returncode == 0
    return time.perf_counter() - started
