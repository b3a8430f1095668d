"""Availability, filters and lists come to the items that the service would choose among."""

import polars as pl
import pytest

from recsys.batch.rules import Rules
from recsys.cli._filters import typed_filters
from recsys.data.availability import save_unavailable_items
from recsys.data.catalogue import Catalogue
from recsys.data.conditions import Condition
from recsys.data.schema import WorkspaceSchema
from recsys.errors import ConfigError, DataError
from recsys.jobs.batch_rules import Wishes
from recsys.workspace import Workspace

SCHEMA = WorkspaceSchema(name="films", item_columns={"year": "numeric", "genres": "list"})
NEW = Condition("year", ">=", 1990)


@pytest.fixture
def films(tmp_path):
    workspace = Workspace("films", tmp_path)
    items = pl.DataFrame(
        {
            "item_id": ["a", "b", "c", "d"],
            "year": [1980.0, 1990.0, 2000.0, None],
            "genres": [["Comedy"], ["Drama"], ["Comedy", "Drama"], []],
        },
        schema=SCHEMA.items_frame_schema(),
    )
    Catalogue(pl.DataFrame(schema=SCHEMA.users_frame_schema()), items, SCHEMA).save(workspace)
    SCHEMA.save(workspace.schema_file)
    save_unavailable_items(workspace, ["b"])
    return workspace


def listed(folder, name, *item_ids):
    path = folder / name
    path.write_text("\n".join(item_ids))
    return path


def test_without_a_wish_what_is_not_available_is_left_out(films):
    assert Wishes().resolved(films) == Rules(("b",), None)


def test_items_meet_every_filter_and_those_without_the_value_meet_none(films):
    assert Wishes([NEW]).resolved(films) == Rules(("b",), ("b", "c"))
    assert Wishes([NEW, Condition("genres", "contains", "Comedy")]).resolved(films) == Rules(("b",), ("c",))


def test_lists_and_filters_come_together(films, tmp_path):
    wishes = Wishes([NEW], listed(tmp_path, "out.txt", "a", "x"), listed(tmp_path, "in.txt", "c", "a", "unheard-of"))
    assert wishes.resolved(films) == Rules(("a", "b", "x"), ("c",))
    assert Wishes(include_only=tmp_path / "in.txt").resolved(films) == Rules(("b",), ("a", "c", "unheard-of"))


def test_where_nothing_is_left_it_says_so_before_any_work(films, tmp_path):
    for wishes in (
        Wishes([Condition("year", ">", 2030)]),
        Wishes(include_only=listed(tmp_path, "in.txt", "b")),
        Wishes([NEW], exclude_items=listed(tmp_path, "out.txt", "c")),
    ):
        with pytest.raises(DataError, match="nothing to recommend"):
            wishes.resolved(films)


@pytest.mark.parametrize(
    ("condition", "says"),
    [
        (Condition("price", "=", 1), "filter on 'price'.*this workspace has: year, genres"),
        (Condition("year", "contains", 1990), "filter on 'year'.*This column is numeric"),
    ],
)
def test_a_filter_that_does_not_fit_says_which_and_why(films, condition, says):
    with pytest.raises(ConfigError, match=says):
        Wishes([condition]).resolved(films)


def test_filters_are_typed_as_the_service_takes_them():
    texts = ['{"column": "year", "op": ">=", "value": 1990}', '{"column": "s", "op": "in", "value": ["x", "y"]}']
    assert typed_filters(texts) == [NEW, Condition("s", "in", ("x", "y"))]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("year >= 1990", "Invalid JSON"),
        ('{"column": "year", "op": "~", "value": 1}', "op: "),
        ('{"column": "year", "op": "=", "value": true}', "value: .*send text, a number"),
        ('{"column": "year", "op": "=", "value": 1, "x": 2}', "x: "),
    ],
)
def test_what_is_no_filter_is_refused_in_a_sentence(text, says):
    with pytest.raises(ConfigError, match=says):
        typed_filters([text])
