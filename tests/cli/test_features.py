"""`recsys features`: it fills the store once, says what it did, is silent otherwise, and explains what is missing."""

import os
import subprocess
import sys
from pathlib import Path

import orjson
import polars as pl
import pytest
import typer
from typer.testing import CliRunner

from recsys.cli import features
from recsys.data.canonical import EVENT_SCHEMA
from recsys.data.schema import WorkspaceSchema
from recsys.events.log import EventLog
from recsys.workspace import Workspace

RUN = """
import typer
from recsys.cli import features
from recsys.cli.environment import calm_libraries
calm_libraries()
app = typer.Typer(pretty_exceptions_enable=False)
features.register(app)
app()
"""


@pytest.fixture
def workspace(recsys_home) -> Workspace:
    target = Workspace.named("films")
    schema = WorkspaceSchema(
        name="films", user_columns={"age": "numeric"}, item_columns={"title": "text"}, title="title"
    )
    schema.save(target.schema_file)
    target.users_file.parent.mkdir(parents=True)
    pl.DataFrame({"user_id": ["7"], "age": [30.0]}).write_parquet(target.users_file)
    pl.DataFrame({"item_id": ["a", "b"], "title": ["Alien", "Brazil"]}).write_parquet(target.items_file)
    append(target, ("1", "7", "a", 1_000_000), ("2", "7", "b", 2_000_000))
    return target


def append(workspace: Workspace, *events: tuple[str, str, str, int]) -> None:
    rows = [(*event, None, 1.0) for event in events]
    EventLog(workspace.event_log).append(pl.DataFrame(rows, schema=EVENT_SCHEMA, orient="row"))


def run(*arguments: str):
    app = typer.Typer()
    features.register(app)
    return CliRunner().invoke(app, ["features", *arguments, "--workspace", "films"])


def last_line(result) -> dict[str, object]:
    return orjson.loads(result.stdout.splitlines()[-1])


def run_apart(*arguments: str) -> subprocess.CompletedProcess[str]:
    """In a process of its own, where what libraries print on import and at exit is seen."""
    root = str(Path(features.__file__).parents[2])
    command = [sys.executable, "-c", RUN, "features", *arguments, "--workspace", "films"]
    environment = os.environ | {"PYTHONPATH": root}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


def test_status_before_anything_is_stored_says_what_to_do(workspace):
    result = run("status", "--json")
    assert result.exit_code == 0
    assert last_line(result)["materialised"] is False
    assert "recsys features materialise --workspace films" in result.output


def test_as_of_needs_a_clock(workspace):
    WorkspaceSchema(name="films", clock=False).save(workspace.schema_file)
    result = run("show", "7", "--as-of", "2020-01-01")
    assert result.exit_code == 2
    assert "no clock" in result.output


def test_a_moment_that_is_none_is_a_users_mistake(workspace):
    result = run("show", "7", "--as-of", "yesterday")
    assert result.exit_code == 2
    assert "is no moment" in result.output


def test_an_unknown_workspace_is_a_users_mistake(recsys_home):
    result = run("materialise", "--json")
    assert result.exit_code == 2
    assert last_line(result)["error"] == "ConfigError"


@pytest.mark.slow
def test_materialise_fills_the_store_and_the_second_time_reuses_it(workspace):
    first, second = last_line(run("materialise", "--json")), last_line(run("materialise", "--json"))
    assert (first["users"], first["log_position"], first["reused"]) == (1, 2, False)
    assert second["reused"] is True
    assert last_line(run("status", "--json"))["stale"] == []
    append(workspace, ("3", "8", "a", 3_000_000))
    assert last_line(run("status", "--json"))["stale"] == ["log"]
    shown = last_line(run("show", "8", "--json"))
    assert (shown["present"], shown["history_items"]) == (True, ["a"])


@pytest.mark.slow
def test_rebuild_mends_a_damaged_store(workspace):
    run("materialise")
    for name in ("online.db", "registry.db"):
        for suffix in ("", "-wal", "-shm"):
            (workspace.feature_store / (name + suffix)).write_bytes(b"not a database, but long enough to be one" * 99)
    damaged = run("show", "7", "--json")
    assert damaged.exit_code == 1
    assert last_line(damaged)["error"] == "FeatureStoreError"
    assert "--rebuild" in last_line(damaged)["message"]
    assert last_line(run("materialise", "--rebuild", "--json"))["users"] == 1
    assert last_line(run("show", "7", "--json"))["history_items"] == ["a", "b"]


@pytest.mark.slow
def test_people_see_the_result_and_no_noise_of_the_libraries(workspace):
    filled = run_apart("materialise")
    assert (filled.returncode, filled.stderr) == (0, "")
    assert filled.stdout.startswith("1 users online")
    shown = run_apart("show", "7", "--as-of", "1970-01-01T02:00:02+02:00")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert "Alien" in shown.stdout
    assert "Brazil" not in shown.stdout
