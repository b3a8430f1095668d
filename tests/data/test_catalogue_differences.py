"""Which changes of a catalogue make feature rows wrong, and which do not."""

import polars as pl

from recsys.data.catalogue import Catalogue
from recsys.data.catalogue_differences import changed_items, changed_users
from recsys.data.schema import WorkspaceSchema

SCHEMA = WorkspaceSchema(
    name="shop",
    user_columns={"age": "numeric", "likes": "list"},
    item_columns={"name": "categorical", "genre": "list", "size": "numeric"},
    title="name",
)


def catalogue(users, items):
    return Catalogue(
        pl.DataFrame(users, schema=SCHEMA.users_frame_schema(), orient="row"),
        pl.DataFrame(items, schema=SCHEMA.items_frame_schema(), orient="row"),
        SCHEMA,
    )


BEFORE = catalogue(
    [("ann", 1.0, ["x"]), ("bob", None, None), ("nan", float("nan"), [])],
    [("a", "Alien", ["x"], 1.0), ("b", "Brazil", None, 2.0)],
)


def test_the_same_catalogue_has_no_differences():
    assert (changed_users(BEFORE, BEFORE), changed_items(BEFORE, BEFORE)) == ([], [])


def test_a_user_is_changed_by_any_column_and_a_new_one_by_having_a_profile():
    after = catalogue(
        [
            ("ann", 1.0, ["x", "y"]),
            ("bob", 2.0, None),
            ("nan", float("nan"), []),
            ("zed", 1.0, None),
            ("bare", None, None),
        ],
        [],
    )
    assert changed_users(BEFORE, after) == ["ann", "bob", "zed"]


def test_an_item_is_changed_by_its_categories_alone():
    items = [
        ("a", "Alien 2", ["x"], 5.0),
        ("b", "Brazil", ["y"], 2.0),
        ("new", "N", ["z"], 1.0),
        ("bare", "B", None, 1.0),
    ]
    assert changed_items(BEFORE, catalogue([], items)) == ["b", "new"]
