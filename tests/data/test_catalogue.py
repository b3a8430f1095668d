"""The catalogue: what it knows of users and items, how newer data update it, how it fails."""

from __future__ import annotations

import polars as pl
import pytest

from recsys.data.catalogue import Catalogue
from recsys.data.schema import WorkspaceSchema
from recsys.errors import DataError
from recsys.workspace import Workspace

SCHEMA = WorkspaceSchema(
    name="shop", user_columns={"age": "numeric"}, item_columns={"title": "text", "tags": "list"}, title="title"
)
USERS = pl.DataFrame({"user_id": ["a"], "age": [30.0]})
ITEMS = pl.DataFrame({"item_id": ["x", "y"], "title": ["Ex", None], "tags": [["t"], []]})
EVENTS = pl.DataFrame({"user_id": ["b", "a"], "item_id": ["z", "x"]})


@pytest.fixture
def catalogue():
    return Catalogue.empty(SCHEMA).updated(USERS, ITEMS, EVENTS)


def test_ids_that_only_events_know_get_empty_columns(catalogue):
    assert catalogue.users.rows() == [("a", 30.0), ("b", None)]
    assert catalogue.items["item_id"].to_list() == ["x", "y", "z"]
    assert catalogue.items["tags"].to_list() == [["t"], [], None]


def test_newer_rows_replace_older_ones_and_silence_changes_nothing(catalogue):
    newer = catalogue.updated(pl.DataFrame({"user_id": ["b"], "age": [40.0]}), ITEMS.clear(), EVENTS)
    assert newer.users.rows() == [("a", 30.0), ("b", 40.0)]
    assert newer.items.equals(catalogue.items)


def test_titles_fall_back_to_ids_and_keep_the_order_asked(catalogue):
    assert catalogue.titles(["nope", "y", "x", "x"]) == ["nope", "y", "Ex", "Ex"]
    assert catalogue.titles([]) == []


def test_without_a_title_column_ids_are_titles():
    assert Catalogue.empty(WorkspaceSchema(name="shop")).titles(["x"]) == ["x"]


@pytest.fixture
def saved(catalogue):
    workspace = Workspace.named("shop")
    SCHEMA.save(workspace.schema_file)
    catalogue.save(workspace)
    return workspace


def test_it_comes_back_as_it_was_saved(catalogue, saved):
    loaded = Catalogue.load(saved)
    assert loaded.users.equals(catalogue.users)
    assert loaded.items.equals(catalogue.items)
    assert sorted(path.name for path in saved.items_file.parent.iterdir()) == ["items.parquet", "users.parquet"]


@pytest.mark.parametrize("damage", ["missing", "damaged", "other columns"])
def test_a_file_that_cannot_be_used_is_named(saved, damage):
    if damage == "missing":
        saved.items_file.unlink()
    elif damage == "damaged":
        saved.items_file.write_bytes(b"nothing")
    else:
        ITEMS.drop("tags").write_parquet(saved.items_file)
    with pytest.raises(DataError, match=r"items\.parquet.*Import the data again"):
        Catalogue.load(saved)
