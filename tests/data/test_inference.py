"""What is inferred about a data set: column types, titles, whether items repeat; and how a schema file overrides it."""

from __future__ import annotations

from datetime import date

import polars as pl
import pytest

from recsys.data.column_types import infer_type, typed
from recsys.data.importer import read_folder
from recsys.data.schema import EventMeaning, polars_type


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (pl.Series([1.5, None, float("nan")]), "numeric"),
        (pl.Series(range(31)), "numeric"),
        (pl.Series([*range(30), 0, 1]), "categorical"),
        (pl.Series([True, False]), "categorical"),
        (pl.Series([date(2020, 1, 1)]), "numeric"),
        (pl.Series(["red", "blue"]), "categorical"),
        (pl.Series(["12345", "T8H1N"]), "categorical"),
        (pl.Series(["The third man", "Toy Story (1995)"]), "text"),
        (pl.Series(["not yet rated"] * 3), "categorical"),
        (pl.Series(["Drama|War", "Comedy"]), "list"),
        (pl.Series([["Drama"], []]), "list"),
        (pl.Series([None, None]), None),
        (pl.Series(["", " "]), None),
        (pl.Series([{"a": 1}]), None),
        (pl.Series([b"x"]), None),
        (pl.Series([[{"a": 1}]]), None),
    ],
    ids=lambda value: str(value) if not isinstance(value, pl.Series) else str(value.dtype),
)
def test_a_columns_type_follows_from_its_values(values, expected):
    assert infer_type(values) == expected


@pytest.mark.parametrize(
    ("values", "column_type", "expected"),
    [
        (pl.Series([1, None]), "categorical", ["1", None]),
        (pl.Series([1.0, float("nan")]), "categorical", ["1", None]),
        (pl.Series([1.5, float("inf")]), "categorical", ["1.5", None]),
        (pl.Series([True]), "categorical", ["true"]),
        (pl.Series([" 4 ", ""]), "numeric", [4.0, None]),
        (pl.Series([float("inf"), 2.0]), "numeric", [None, 2.0]),
        (pl.Series([True]), "numeric", [1.0]),
        (pl.Series([date(1970, 1, 3)]), "numeric", [2.0]),
        (pl.Series(["a|b||", ""]), "list", [["a", "b"], None]),
        (pl.Series([[1.0, float("nan")], None]), "list", [["1"], None]),
        (pl.Series([["a", None, " "], []]), "list", [["a"], []]),
        (pl.Series([3]), "list", [["3"]]),
        (pl.Series(["two words", " "]), "text", ["two words", None]),
    ],
)
def test_a_columns_values_take_the_form_of_its_type(values, column_type, expected):
    converted, wrong = typed(values, column_type)
    assert wrong is None
    assert converted.to_list() == expected
    assert converted.dtype == polars_type(column_type)


def test_items_repeat_when_enough_pairs_recur(folder):
    often = {"user_id": ["a"] * 20, "item_id": [str(n) for n in range(18)] + ["0", "1"], "timestamp": range(1, 21)}
    assert read_folder(folder("often", events_parquet=often)).schema.repeats is True
    rarely = often | {"item_id": [str(n) for n in range(20)]}
    imported = read_folder(folder("rarely", events_parquet=rarely))
    assert imported.schema.repeats is False
    assert any("Items do not repeat: 0.0%" in note for note in imported.notes)


def test_a_view_and_a_purchase_of_one_item_are_no_repetition(folder):
    both = {"user_id": ["a", "a"], "item_id": ["x", "x"], "timestamp": [1, 2], "event": ["view", "buy"]}
    imported = read_folder(folder(events_parquet=both))
    assert imported.schema.repeats is False
    assert any("Every kind of event counts as positive, with weight 1: buy, view" in note for note in imported.notes)


def test_the_title_is_found_by_its_name(folder):
    items = {"item_id": ["x"], "genre": ["Drama"], "name": ["The third man"]}
    assert read_folder(folder(items_parquet=items)).schema.title == "name"


def test_columns_keep_the_files_order_and_useless_ones_are_named(folder):
    users = {"user_id": ["a"], "z": ["1"], "a": [2.5], "nothing": [None], "raw": [b"x"]}
    imported = read_folder(folder(users_parquet=users))
    assert list(imported.schema.user_columns.items()) == [("z", "categorical"), ("a", "numeric")]
    assert any("nothing, raw" in note for note in imported.notes)


def test_a_schema_file_overrides_inference(folder, tmp_path):
    file = tmp_path / "schema.toml"
    file.write_text(
        'repeats = true\ntitle = "label"\n'
        '[events]\npositive = ["buy"]\nnegative = ["return"]\nmin_value = 2\n[events.weights]\nbuy = 3\n'
        '[users]\nzip = "ignore"\nage = "categorical"\n[items]\nlabel = "text"\n'
    )
    imported = read_folder(
        folder(
            users_parquet={"user_id": ["a"], "zip": ["1"], "age": [30.5]},
            items_parquet={"item_id": ["x"], "label": ["x"]},
        ),
        file,
    )
    schema = imported.schema
    assert schema.repeats is True
    assert schema.title == "label"
    assert schema.events == EventMeaning(positive=("buy",), negative=("return",), weights={"buy": 3.0}, min_value=2.0)
    assert dict(schema.user_columns) == {"age": "categorical"}
    assert imported.users.rows() == [("a", "30.5")]
    assert dict(schema.item_columns) == {"label": "text"}


def test_kinds_that_count_as_nothing_are_said(folder, tmp_path):
    file = tmp_path / "schema.toml"
    file.write_text('[events]\npositive = ["buy"]\n')
    events = {"user_id": ["a", "a"], "item_id": ["x", "y"], "timestamp": [1, 2], "event": ["view", "buy"]}
    notes = read_folder(folder(events_parquet=events), file).notes
    assert "Kinds of events that count as nothing: view." in notes


def test_data_without_a_positive_event_are_pointed_out(folder, tmp_path):
    file = tmp_path / "schema.toml"
    file.write_text('[events]\npositive = ["buy"]\n')
    assert any("None of these events counts as positive" in note for note in read_folder(folder(), file).notes)
    assert not any("None of these events" in note for note in read_folder(folder()).notes)


def test_the_existing_workspace_decides_types(folder):
    first = read_folder(folder("one", users_parquet={"user_id": range(40), "age": range(40)}))
    assert first.schema.user_columns == {"age": "numeric"}
    few = folder("two", users_parquet={"user_id": [1, 2], "age": [3, 4], "new": ["x", "y"]})
    again = read_folder(few, existing=first.schema)
    assert again.schema == first.schema
    assert again.users["age"].to_list() == [3.0, 4.0]


def test_baskets_are_said_and_kept_and_never_inferred(folder, tmp_path):
    assert read_folder(folder()).schema.baskets is False
    said = tmp_path / "said.toml"
    said.write_text("baskets = true\nrepeats = true\nclock = true\n")
    schema = read_folder(folder(), said).schema
    assert schema.baskets is True
    assert read_folder(folder(), existing=schema).schema.baskets is True
