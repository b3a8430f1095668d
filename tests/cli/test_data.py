"""`recsys data` and `recsys events` as a person or a script uses them."""

from __future__ import annotations

import json

import polars as pl
import pytest
import typer
from typer.testing import CliRunner

from recsys.cli import data, events


@pytest.fixture
def run():
    app = typer.Typer()
    data.register(app)
    events.register(app)
    return lambda *arguments: CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def folder(tmp_path):
    place = tmp_path / "shop"
    place.mkdir()
    rows = {"user_id": ["a", "a", ""], "item_id": ["x", "y", "x"], "timestamp": [10, 20, 30]}
    pl.DataFrame(rows).write_csv(place / "events.csv")
    pl.DataFrame({"item_id": ["x"], "title": ["The [red] ex"]}).write_csv(place / "items.csv")
    return place


def last_line(result):
    return json.loads(result.stdout.strip().split("\n")[-1])


def test_an_import_shows_types_treatments_and_counts(run, folder):
    result = run("data", "import", folder, "--workspace", "shop")
    assert result.exit_code == 0
    for part in ("title (text)", "rows with an empty or missing user_id", "dropped", "2 events appended to 'shop'"):
        assert part in " ".join(result.output.split())


def test_the_same_import_again_says_that_nothing_is_new(run, folder):
    run("data", "import", folder, "-w", "shop")
    result = run("data", "import", folder, "-w", "shop", "--json")
    assert "Nothing new: of 2 events 2 were in" in result.stderr
    assert {key: last_line(result)[key] for key in ("appended", "already_there", "position")} == {
        "appended": 0,
        "already_there": 2,
        "position": 2,
    }


def test_the_folder_of_the_models_is_no_workspace(run, folder, recsys_home):
    result = run("data", "import", folder, "-w", "mlflow", "--json")
    assert result.exit_code == 2
    assert "cannot name a workspace" in last_line(result)["message"]
    assert not recsys_home.exists()


def test_more_events_than_sqlite_counts_is_a_mistake(run, folder):
    run("data", "import", folder, "-w", "shop")
    assert run("events", "show", "-w", "shop", "--last", "99999999999999999999").exit_code == 2


def test_check_writes_nothing(run, folder, recsys_home):
    result = run("data", "import", folder, "-w", "shop", "--check")
    assert result.exit_code == 0
    assert "Nothing was written" in result.output
    assert not recsys_home.exists()


def test_movielens_loads_and_is_shown(run):
    assert run("data", "load", "movielens-100k", "-w", "films").exit_code == 0
    shown = run("data", "show", "-w", "films", "--json")
    assert {key: last_line(shown)[key] for key in ("events", "users", "items", "most")} == {
        "events": 100_000,
        "users": 943,
        "items": 1_682,
        "most": 737,
    }
    assert "1997-09-20" in shown.stderr


def test_events_are_appended_shown_and_counted(run, folder):
    run("data", "import", folder, "-w", "shop")
    appended = run("events", "append", "-w", "shop", "--json-event", '{"user_id": "a", "item_id": "new"}')
    assert "1 events appended" in appended.output
    assert "1 items are new" in appended.output
    shown = run("events", "show", "-w", "shop", "--user", "a", "--last", 2)
    assert "The [red] ex" not in shown.output
    assert "new" in shown.output
    assert "The [red] ex" in run("events", "show", "-w", "shop").output
    assert last_line(run("events", "count", "-w", "shop", "--json")) == {"events": 3, "position": 3}
    more = run("events", "append", folder / "events.csv", "-w", "shop", "--json")
    assert last_line(more)["already_there"] == 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("data", "import", "/nowhere", "-w", "shop"), "There is no folder /nowhere"),
        (("data", "import", ".", "-w", "My Shop"), "cannot name a workspace"),
        (("data", "import", ".", "-w", "sqlite-shop"), "sqlite keeps tables of such names to itself"),
        (("data", "load", "netflix", "-w", "shop"), "There is no data set 'netflix'"),
        (("data", "show", "-w", "none"), "There is no workspace 'none'"),
        (("events", "show", "-w", "none"), "There is no workspace 'none'"),
        (("events", "append", "-w", "none"), "Give either a FILE"),
        (("events", "append", "x.csv", "-w", "none", "--json-event", "{}"), "Give either a FILE"),
        (("events", "append", "x.csv", "-w", "none"), "There is no workspace 'none'"),
    ],
)
def test_a_mistake_ends_with_2_and_says_what_to_do(run, arguments, said):
    result = run(*arguments, "--json")
    assert result.exit_code == 2
    assert said in " ".join(result.stderr.split())
    assert last_line(result)["exit_code"] == 2


@pytest.mark.parametrize("event", ["{", "[1]", '"x"', '{"user_id": 1}'])
def test_an_event_that_is_no_event_is_a_mistake(run, folder, event):
    run("data", "import", folder, "-w", "shop")
    result = run("events", "append", "-w", "shop", "--json-event", event)
    assert result.exit_code == 2
    assert "Traceback" not in result.output
