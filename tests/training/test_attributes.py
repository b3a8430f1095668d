"""What the catalogue says of items becomes attributes: its categories and lists, as far as two items share them."""

import numpy as np
import polars as pl
import pytest
import torch

from recsys.data.schema import WorkspaceSchema
from recsys.training.attributes import ItemAttributes, item_attributes

COLUMNS = {"title": "categorical", "kind": "categorical", "tags": "list", "year": "numeric"}
SCHEMA = WorkspaceSchema(name="w", item_columns=COLUMNS, title="title")
ITEMS = pl.DataFrame(
    {
        "item_id": ["d", "a", "b", "c", "unseen"],
        "title": ["One", "One", "Two", None, "One"],
        "kind": ["film", "film", "book", None, "book"],
        "tags": [["old", "new"], ["old"], [], None, ["new", "rare"]],
        "year": [1990.0, 1990.0, 1990.0, 1990.0, 1990.0],
    }
)


def named(found: ItemAttributes) -> dict[int, set[str]]:
    """Names of each item's attributes, items from 1."""
    return {
        item: {found.names[value] for value in found.values[found.offsets[item] : found.offsets[item + 1]]}
        for item in range(1, found.n_items + 1)
    }


def test_categories_and_lists_that_two_items_share_are_attributes_and_titles_and_numbers_are_not():
    found = item_attributes(ITEMS, ("a", "b", "c", "d", "unseen"), SCHEMA)
    assert named(found) == {
        1: {"kind=film", "tags=old"},
        2: {"kind=book"},
        3: set(),
        4: {"kind=film", "tags=old", "tags=new"},
        5: {"kind=book", "tags=new"},
    }
    assert found.names == ("kind=book", "kind=film", "tags=new", "tags=old")


def test_only_items_of_the_vocabulary_count_so_that_one_alone_of_them_says_nothing():
    found = item_attributes(ITEMS, ("a", "b", "c", "d"), SCHEMA)
    assert found.names == ("kind=film", "tags=old"), "of two books and two new ones, one each has events"
    assert found.n_items == 4


def test_an_item_that_the_catalogue_does_not_know_has_none():
    found = item_attributes(ITEMS, ("a", "d", "stranger"), SCHEMA)
    assert named(found)[3] == set()
    assert found.offsets.tolist() == [0, 0, 2, 4, 4]


def test_the_same_word_in_two_columns_is_two_attributes_and_twice_in_a_list_is_one():
    schema = WorkspaceSchema(name="w", item_columns={"kind": "categorical", "tags": "list"})
    items = pl.DataFrame({"item_id": ["a", "b"], "kind": ["x", "x"], "tags": [["x", "x"], ["x"]]})
    found = item_attributes(items, ("a", "b"), schema)
    assert found.names == ("kind=x", "tags=x")
    assert np.diff(found.offsets).tolist() == [0, 2, 2]


@pytest.mark.parametrize("name", ["index", "attribute", "code", "n_items"])
def test_a_column_may_be_called_anything(name):
    for kind, values in (("categorical", ["x", "x", "y"]), ("list", [["x"], ["x"], ["y"]])):
        schema = WorkspaceSchema(name="w", item_columns={name: kind})
        items = pl.DataFrame({"item_id": ["a", "b", "c"], name: values})
        assert item_attributes(items, ("a", "b", "c"), schema).names == (f"{name}=x",)


@pytest.mark.parametrize("columns", [{}, {"year": "numeric"}, {"missing": "categorical"}])
def test_a_catalogue_that_says_nothing_gives_none(columns):
    found = item_attributes(ITEMS, ("a", "b"), WorkspaceSchema(name="w", item_columns=columns))
    assert (found.n_items, found.n_attributes) == (2, 0)
    assert found.matrix().shape == (2, 0)
    assert [len(part) for part in found.of(torch.tensor([0, 1, 2]))] == [0, 0, 0]


def test_nobody_shares_anything():
    items = pl.DataFrame({"item_id": ["a", "b"], "kind": ["x", "y"]})
    found = item_attributes(items, ("a", "b"), WorkspaceSchema(name="w", item_columns={"kind": "categorical"}))
    assert found.n_attributes == 0
    assert found.matrix().nnz == 0


def test_the_matrix_has_a_one_where_an_item_has_an_attribute(make_attributes):
    found = make_attributes([0, 2], [], [1], [2, 0])
    assert found.matrix().toarray().tolist() == [[1, 0, 1], [0, 0, 0], [0, 1, 0], [1, 0, 1]]
    assert found.matrix().dtype == np.float32


def test_attributes_of_items_come_with_whose_they_are_and_how_much_of_it_each_is(make_attributes):
    values, owner, shares = make_attributes([0, 2], [], [1]).of(torch.tensor([3, 0, 1, 2, 1]))
    assert values.tolist() == [1, 0, 2, 0, 2]
    assert owner.tolist() == [0, 2, 2, 4, 4]
    assert shares.tolist() == [1.0, 0.5, 0.5, 0.5, 0.5]
    assert shares.dtype == torch.float32
