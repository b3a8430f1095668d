"""Versions of the features: one name for one shape, and the difference between two of them in words."""

from dataclasses import replace

import pytest

from recsys.context.feature_schema import FeatureSchema
from recsys.context.rows import feature_schema
from recsys.data.schema import EventMeaning, WorkspaceSchema
from recsys.errors import ConfigError

SHOP = WorkspaceSchema(name="shop", user_columns={"age": "numeric"}, item_columns={"genre": "list"})
ONE = FeatureSchema(layout=1, columns=(("a", "Int64"), ("b", "String")), meaning={"clock": True})


@pytest.mark.parametrize(
    ("other", "told"),
    [
        (replace(ONE, columns=(("a", "Int64"),)), "column 'b' (String) is gone"),
        (replace(ONE, columns=(*ONE.columns, ("c", "Boolean"))), "column 'c' (Boolean) is new"),
        (replace(ONE, columns=(("a", "Float64"), ("b", "String"))), "column 'a' was Int64 and is Float64"),
        (replace(ONE, columns=ONE.columns[::-1]), "the order of the columns is b, a, it was a, b"),
        (replace(ONE, layout=2), "the fold has layout 2, it had 1"),
        (replace(ONE, meaning={"clock": False}), "clock is false, it was true"),
        (replace(ONE, meaning={"clock": True, "repeats": True}), "repeats is true, it was null"),
    ],
    ids=["removed", "added", "retyped", "reordered", "layout", "meaning", "new meaning"],
)
def test_every_difference_is_told_and_is_another_version(other, told):
    assert ONE.changes_to(other) == (told,)
    assert other.service != ONE.service


def test_a_version_survives_its_text_and_is_not_different_from_itself():
    version = feature_schema(SHOP)
    again = FeatureSchema.from_json(version.to_json())
    assert (again, again.sha256) == (version, version.sha256)
    assert version.changes_to(again) == ()


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"layout": 1, "columns": [1], "meaning": {}}'])
def test_another_text_is_refused(text):
    with pytest.raises(ConfigError, match="no description of feature rows"):
        FeatureSchema.from_json(text)


@pytest.mark.parametrize(
    "other",
    [
        replace(SHOP, user_columns={"age": "categorical"}),
        replace(SHOP, user_columns={}),
        replace(SHOP, item_columns={"genre": "categorical"}),
        replace(SHOP, events=EventMeaning(negative=("skip",))),
    ],
)
def test_what_shapes_a_row_makes_another_version(other):
    assert feature_schema(other).service != feature_schema(SHOP).service
    assert feature_schema(SHOP).changes_to(feature_schema(other))


def test_what_does_not_shape_a_row_makes_none():
    assert feature_schema(replace(SHOP, name="x", item_columns={**SHOP.item_columns, "size": "numeric"})) == (
        feature_schema(SHOP)
    )
