"""Bringing data into a workspace: repeatable, atomic enough to be repeated, and never into another workspace."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import polars as pl
import pytest

from recsys.data.catalogue import Catalogue
from recsys.data.imported import ImportedData
from recsys.data.schema import WorkspaceSchema
from recsys.errors import DataError
from recsys.events.log import EventLog
from recsys.jobs.ingest import ingest, ingest_folder
from recsys.workspace import Workspace, workspaces


@pytest.fixture
def shop(tmp_path):
    """A folder with events, users and items."""
    folder = tmp_path / "shop"
    folder.mkdir()
    events = {"user_id": [1, 1, 2], "item_id": ["x", "y", "x"], "timestamp": [10, 20, 30], "rating": [1.0, 2.0, 3.0]}
    pl.DataFrame(events).write_parquet(folder / "events.parquet")
    pl.DataFrame({"user_id": [1, 3], "age": [30.5, 40.5]}).write_csv(folder / "users.csv")
    pl.DataFrame({"item_id": ["x", "z"], "title": ["The ex", "The zed"]}).write_parquet(folder / "items.parquet")
    return folder


def contents(workspace):
    """Every file by hash; the log by its rows, since sqlite moves them between its files as it likes."""
    files = {
        str(path.relative_to(workspace.root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(workspace.root.rglob("*"))
        if path.is_file() and path.parent != workspace.event_log.parent
    }
    return files, EventLog(workspace.event_log).read().to_dicts()


def test_a_folder_becomes_a_workspace(shop):
    workspace = Workspace.named("my-shop")
    result = ingest_folder(workspace, shop)
    assert (result.read, result.appended, result.already_there, result.position) == (3, 3, 0, 3)
    assert (result.users, result.items) == (3, 3)
    assert Workspace.existing("my-shop") == workspace
    assert WorkspaceSchema.load(workspace.schema_file).name == "my-shop"
    catalogue = Catalogue.load(workspace)
    assert catalogue.users.rows() == [("1", 30.5), ("2", None), ("3", 40.5)]
    assert catalogue.titles(["x", "y", "z"]) == ["The ex", "y", "The zed"]
    assert EventLog(workspace.event_log).read()["user_id"].to_list() == ["1", "1", "2"]


def test_the_same_data_again_change_nothing(shop):
    workspace = Workspace.named("my-shop")
    ingest_folder(workspace, shop)
    before = EventLog(workspace.event_log).read()
    schema = workspace.schema_file.read_text()
    again = ingest_folder(workspace, shop)
    assert (again.appended, again.already_there, again.position) == (0, 3, 3)
    assert EventLog(workspace.event_log).read().equals(before)
    assert workspace.schema_file.read_text() == schema


def test_more_of_the_same_data_append_only_what_is_new(shop):
    workspace = Workspace.named("my-shop")
    ingest_folder(workspace, shop)
    more = pl.read_parquet(shop / "events.parquet").vstack(
        pl.DataFrame({"user_id": [9], "item_id": ["new"], "timestamp": [40], "rating": [5.0]})
    )
    more.write_parquet(shop / "events.parquet")
    (shop / "users.csv").unlink()
    result = ingest_folder(workspace, shop)
    assert (result.appended, result.already_there, result.position) == (1, 3, 4)
    assert Catalogue.load(workspace).users.rows() == [("1", 30.5), ("2", None), ("3", 40.5), ("9", None)]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda s: (s / "schema.toml").write_text("repeats = true"), "repeats is False there and True here"),
        (lambda s: (s / "schema.toml").write_text('[users]\nage = "categorical"'), "user_columns is"),
        (lambda s: pl.DataFrame({"user_id": [1], "city": ["Rome"]}).write_csv(s / "users.csv"), "user_columns is"),
        (
            lambda s: pl.DataFrame({"user_id": [1], "item_id": [1], "position": [1]}).write_parquet(
                s / "events.parquet"
            ),
            "clock is True there and False here",
        ),
    ],
    ids=["repeats", "type", "missing column", "no clock"],
)
def test_another_schema_is_refused_and_nothing_is_touched(shop, change, said):
    workspace = Workspace.named("my-shop")
    ingest_folder(workspace, shop)
    before = contents(workspace)
    change(shop)
    overrides = shop / "schema.toml"
    with pytest.raises(DataError) as caught:
        ingest_folder(workspace, shop, overrides if overrides.exists() else None)
    assert said in str(caught.value)
    assert "Import into a new workspace" in str(caught.value)
    assert contents(workspace) == before


def test_one_workspace_never_touches_another(shop):
    first, second = Workspace.named("first"), Workspace.named("second")
    ingest_folder(first, shop)
    before = contents(first)
    ingest_folder(second, shop, None)
    assert contents(first) == before
    assert [workspace.name for workspace in workspaces()] == ["first", "second"]


def test_data_that_cannot_be_used_leave_no_workspace(shop):
    pl.DataFrame({"user": [1]}).write_parquet(shop / "events.parquet")
    with pytest.raises(DataError):
        ingest_folder(Workspace.named("my-shop"), shop)
    assert not Workspace.named("my-shop").root.exists()


def test_an_interrupted_import_is_completed_by_repeating_it(shop, monkeypatch):
    workspace = Workspace.named("my-shop")
    with monkeypatch.context() as broken:
        broken.setattr(EventLog, "append", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            ingest_folder(workspace, shop)
    assert ingest_folder(workspace, shop).appended == 3


def test_frames_of_any_other_source_are_checked_at_the_border(shop):
    schema = WorkspaceSchema(name="x", user_columns={"age": "numeric"})
    events = pl.DataFrame(
        {"event_id": ["1", "1"], "user_id": ["a", ""], "item_id": [1, 2], "occurred_at": [1, None], "event": ["a", "b"]}
    )
    users = pl.DataFrame({"user_id": ["a"], "age": ["old"], "city": ["Rome"]})
    items = pl.DataFrame({"item_id": ["x", "x"]})
    spoilt = ImportedData(source="a notebook", events=events, users=users, items=items, schema=schema)
    with pytest.raises(DataError) as caught:
        ingest(Workspace.named("x"), spoilt)
    for part in (
        "events: the column 'value' is missing",
        "events: 'event_id' comes more than once in rows 1, 2",
        "events: 'user_id' is blank in row 2",
        "events: expected column 'item_id' to have type String, got Int64",
        "events: 'occurred_at' is missing in row 2",
        "users: the column 'city' is not in the schema",
        "users: expected column 'age' to have type Float64, got String",
        "items: 'item_id' comes more than once in rows 1, 2",
    ):
        assert part in str(caught.value)
    assert not Workspace.named("x").root.exists()
    fine = replace(spoilt, events=events.clear(), users=users.clear(), items=items.clear())
    with pytest.raises(DataError, match="item_id"):
        ingest(Workspace.named("x"), fine)
