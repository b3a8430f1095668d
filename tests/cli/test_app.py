"""The command as a whole: what it lists, how fast it starts, how it treats mistakes."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from recsys import __version__
from recsys.cli.app import COMMANDS, build_app

HEAVY = ("torch", "feast", "mlflow", "ray", "torchrec", "pandas", "sklearn", "fastapi", "polars")


@pytest.fixture
def run():
    app = build_app()
    return lambda *arguments: CliRunner().invoke(app, list(arguments))


def recsys(*arguments: str) -> subprocess.CompletedProcess[str]:
    code = "import sys; sys.argv[0] = 'recsys'; from recsys.cli import main; main()"
    return subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False)


def test_help_lists_every_command_along_the_path_of_the_data(run):
    listed = re.findall(r"^│ ([a-z]+) ", run("--help").output, re.MULTILINE)
    promised = "data events features experts tune train refresh evaluate promote rollback models gc batch keys serve "
    promised += "compare explain backup restore doctor"
    assert listed == promised.split()


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(run, command):
    result = run(command, "--help")
    assert result.exit_code == 0
    assert "Usage:" in result.output


def leaves(group, path=()):
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from leaves(command, (*path, name))
        else:
            yield " ".join((*path, name)), command


@pytest.mark.parametrize(
    ("name", "command"), [pytest.param(*leaf, id=leaf[0]) for leaf in leaves(get_command(build_app()))]
)
def test_every_command_shows_an_example_of_itself_and_takes_the_common_options(name, command):
    assert f"Example: recsys {name}" in " ".join(command.help.split())
    options = {option for parameter in command.params for option in parameter.opts}
    assert {"--workspace", "--json"} <= options


@pytest.mark.parametrize(
    "arguments",
    [("recommand",), ("doctor", "--jsn"), ("doctor", "surplus"), ("train",), ("data", "imprt")],
    ids=["unknown command", "unknown option", "surplus argument", "no workspace", "unknown sub-command"],
)
def test_a_mistyped_call_ends_with_2_and_says_how_to_call(run, arguments):
    result = run(*arguments)
    assert result.exit_code == 2
    assert "Usage:" in result.output


@pytest.mark.parametrize(
    "arguments",
    [("recommand",), ("doctor", "surplus"), ("train",), ("data", "imprt"), ("explain", "--user", "\udcff"), ("--jsn",)],
)
def test_with_json_a_mistyped_call_is_told_in_the_last_line_too(run, arguments):
    result = run(*arguments, "--json")
    told = json.loads(result.stdout.splitlines()[-1])
    assert (result.exit_code, told["exit_code"], told["error"]) == (2, 2, "UsageError")
    assert told["message"]


def test_version_is_the_librarys(run):
    assert run("--version").output == f"recsys {__version__}\n"


@pytest.mark.slow
def test_help_starts_quickly_and_loads_nothing_heavy():
    code = (
        "import sys; from recsys.cli.app import COMMANDS, build_app; build_app()\n"
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


def test_the_package_runs_as_the_command_does():
    done = subprocess.run([sys.executable, "-m", "recsys", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("recsys ")
