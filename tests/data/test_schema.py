"""The workspace schema: its file, its hash, what an event means."""

from __future__ import annotations

from dataclasses import replace

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.data.schema import COLUMN_TYPES, EventMeaning, WorkspaceSchema
from recsys.data.schema_toml import schema_text
from recsys.errors import ConfigError

EXAMPLE = WorkspaceSchema(
    name="shop",
    repeats=True,
    events=EventMeaning(positive=("buy",), negative=("return",), weights={"buy": 2.0}, min_value=0.5),
    user_columns={"age": "numeric", "city": "categorical"},
    item_columns={"name": "text", "tags": "list"},
    title="name",
)

names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)
kinds = st.lists(names, unique=True, max_size=3).map(tuple)
types = st.dictionaries(names, st.sampled_from(COLUMN_TYPES), max_size=4)
numbers = st.floats(allow_nan=False, allow_infinity=False)
meanings = st.builds(
    EventMeaning,
    positive=st.none() | kinds,
    negative=st.just(()),
    weights=st.dictionaries(names, st.floats(0, 1000), max_size=3),
    min_value=st.none() | numbers,
)
sorts = st.tuples(st.booleans(), st.booleans(), st.booleans()).filter(lambda sort: not sort[2] or (sort[0] and sort[1]))
schemas = st.builds(
    lambda sort, **rest: WorkspaceSchema(clock=sort[0], repeats=sort[1], baskets=sort[2], **rest),
    sort=sorts,
    name=names,
    events=meanings,
    user_columns=types,
    item_columns=types,
)


@given(schema=schemas)
def test_any_schema_survives_its_file(schema, tmp_path_factory):
    path = tmp_path_factory.mktemp("schema") / "workspace.toml"
    schema.save(path)
    loaded = WorkspaceSchema.load(path)
    assert loaded == schema
    assert list(loaded.user_columns) == list(schema.user_columns)
    assert loaded.feature_meaning() == schema.feature_meaning()


def test_saving_leaves_one_file(tmp_path):
    EXAMPLE.save(tmp_path / "workspace.toml")
    EXAMPLE.save(tmp_path / "workspace.toml")
    assert [path.name for path in tmp_path.iterdir()] == ["workspace.toml"]


@pytest.mark.parametrize(
    ("old", "new", "wrong"),
    [
        ("repeats = true", "repeats = true\ncolour = 1", "unknown key 'colour'"),
        ('"age" = "numeric"', '"age" = "number"', "is no column type"),
        ('name = "shop"\n', "", "the key 'name' is missing"),
        ("negative", "negatives", "unknown key 'negatives' in [events]"),
        ('title = "name"', 'title = "label"', "title column 'label'"),
    ],
)
def test_a_damaged_file_is_refused(tmp_path, old, new, wrong):
    path = tmp_path / "workspace.toml"
    path.write_text(schema_text(EXAMPLE).replace(old, new, 1))
    with pytest.raises(ConfigError) as caught:
        WorkspaceSchema.load(path)
    assert wrong in str(caught.value)


@pytest.mark.parametrize(
    "other",
    [
        replace(EXAMPLE, user_columns={"city": "categorical", "age": "numeric"}),
        replace(EXAMPLE, user_columns={"age": "categorical", "city": "categorical"}),
        replace(EXAMPLE, repeats=False),
        replace(EXAMPLE, clock=False),
        replace(EXAMPLE, events=replace(EXAMPLE.events, min_value=1.0)),
    ],
    ids=["order", "type", "repeats", "clock", "meaning"],
)
def test_whatever_shapes_a_feature_row_changes_its_meaning(other):
    assert other.feature_meaning() != EXAMPLE.feature_meaning()


def test_what_does_not_shape_a_feature_row_leaves_its_meaning():
    plain = {name: kind for name, kind in EXAMPLE.item_columns.items() if kind in ("numeric", "text")}
    other = replace(EXAMPLE, name="x", item_columns={**EXAMPLE.item_columns, "size": "numeric", "blurb": "text"})
    assert plain
    assert other.feature_meaning() == EXAMPLE.feature_meaning()
    assert replace(EXAMPLE, item_columns={"kind": "categorical"}, title=None).feature_meaning() != (
        replace(EXAMPLE, item_columns={"kind": "list"}, title=None).feature_meaning()
    )


def test_baskets_change_neither_the_meaning_nor_the_file_of_a_workspace_without_them(tmp_path):
    assert replace(EXAMPLE, baskets=True).feature_meaning() == EXAMPLE.feature_meaning()
    assert "baskets" not in schema_text(EXAMPLE)


def test_a_kind_cannot_be_positive_and_negative():
    with pytest.raises(ConfigError, match="at once: buy"):
        EventMeaning(positive=("buy",), negative=("buy",))


EVENTS = pl.DataFrame(
    {"event": ["buy", "view", "return", None, "buy", "buy"], "value": [1.0, 1.0, 1.0, 1.0, 0.2, None]},
    schema_overrides={"value": pl.Float32},
)


@pytest.mark.parametrize(
    ("meaning", "positive", "negative"),
    [
        (EventMeaning(), "buy view return none low unvalued", ""),
        (EventMeaning(positive=("buy",)), "buy low unvalued", ""),
        (EventMeaning(negative=("return",)), "buy view none low unvalued", "return"),
        (EventMeaning(min_value=0.5), "buy view return none unvalued", "low"),
        (EventMeaning(positive=("buy",), negative=("return",), min_value=0.5), "buy unvalued", "return low"),
    ],
)
def test_what_an_event_counts_as(meaning, positive, negative):
    rows = pl.Series(["buy", "view", "return", "none", "low", "unvalued"])
    assert rows.filter(EVENTS.select(meaning.is_positive()).to_series()).to_list() == positive.split()
    assert rows.filter(EVENTS.select(meaning.is_negative() | pl.repeat(False, 6)).to_series()).to_list() == (
        negative.split()
    )


def test_weight_is_value_times_the_kinds_weight():
    weights = EVENTS.select(EventMeaning(weights={"buy": 3.0, "view": 0.5}).weight()).to_series()
    assert weights.dtype == pl.Float32
    assert weights.to_list() == pytest.approx([3.0, 0.5, 1.0, 1.0, 0.6, 3.0])


@pytest.mark.parametrize("sort", [{"clock": False, "repeats": True}, {"clock": True, "repeats": False}])
def test_baskets_need_real_times_and_items_that_come_back(sort):
    with pytest.raises(ConfigError, match="says baskets, and not"):
        WorkspaceSchema(name="shop", baskets=True, **sort)
