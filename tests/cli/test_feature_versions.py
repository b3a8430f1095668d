"""`recsys features migrate`, `versions`, `drop` and `report` on the command line."""

import orjson
import polars as pl
import pytest
import typer
from typer.testing import CliRunner

from recsys.cli import features
from recsys.data.canonical import EVENT_SCHEMA
from recsys.data.catalogue import Catalogue
from recsys.data.schema import EventMeaning, WorkspaceSchema
from recsys.events.log import EventLog
from recsys.workspace import Workspace


@pytest.fixture
def workspace(recsys_home) -> Workspace:
    target = Workspace.named("films")
    schema = WorkspaceSchema(name="films")
    schema.save(target.schema_file)
    Catalogue.empty(schema).save(target)
    rows = [("1", "7", "a", 1_000_000, None, 1.0), ("2", "7", "b", 2_000_000, "skip", 1.0)]
    EventLog(target.event_log).append(pl.DataFrame(rows, schema=EVENT_SCHEMA, orient="row"))
    return target


def run(*arguments: str):
    app = typer.Typer()
    features.register(app)
    result = CliRunner().invoke(app, ["features", *arguments, "--workspace", "films", "--json"])
    return result.exit_code, orjson.loads(result.stdout.splitlines()[-1])


@pytest.mark.slow
def test_a_version_is_migrated_from_listed_and_dropped(workspace):
    code, told = run("migrate")
    assert (code, told["error"]) == (2, "ConfigError")
    run("materialise")
    WorkspaceSchema(name="films", events=EventMeaning(negative=("skip",))).save(workspace.schema_file)
    assert "features migrate" in run("show", "7")[1]["message"]
    code, told = run("migrate")
    assert (code, told["reused"], len(told["older"])) == (0, False, 1)
    older = told["older"][0]["service"]
    listed = {one["service"]: one for one in run("versions")[1]["versions"]}
    assert "skip" in "".join(listed[older]["changes"])
    assert run("show", "7")[1]["history_items"] == ["a"]
    code, told = run("drop", told["feature_service"])
    assert (code, told["error"]) == (2, "ConfigError")
    assert run("drop", older.removeprefix("user_context_v"))[0] == 0
    left = [(one["rows"], one["present"]) for one in run("versions")[1]["versions"]]
    assert left == [("users", True), ("items", True)]


def test_a_report_needs_a_champion(workspace):
    code, told = run("report")
    assert code == 2
    assert "recsys train" in told["message"]
