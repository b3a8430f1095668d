"""Files that cannot be used: one message that lists everything that is wrong, and what there is instead."""

from __future__ import annotations

import polars as pl
import pytest

from recsys.data.importer import read_folder
from recsys.errors import ConfigError, DataError


def refusal(folder, overrides=None, error=DataError):
    with pytest.raises(error) as caught:
        read_folder(folder, overrides)
    return str(caught.value)


def test_a_missing_folder(tmp_path):
    assert "There is no folder" in refusal(tmp_path / "nowhere")


def test_a_folder_without_events_says_what_is_there(folder, tmp_path):
    place = folder(users_parquet={"user_id": [1]})
    (place / "events.parquet").unlink()
    message = refusal(place)
    assert "neither events.parquet nor events.csv" in message
    assert "users.parquet" in message


def test_two_files_of_events(folder):
    place = folder(events_csv="user_id,item_id,position\n1,2,3\n")
    pl.DataFrame({"user_id": [1]}).write_parquet(place / "events.parquet")
    assert "both events.parquet and events.csv" in refusal(place)


@pytest.mark.parametrize("content", [b"", b"this is no parquet", b"PAR1"])
def test_an_unreadable_parquet_file(folder, content):
    assert "events.parquet: it cannot be read as parquet" in refusal(folder(events_parquet=content))


def test_an_empty_csv_file(folder):
    assert "events.csv: the file is empty" in refusal(folder(events_csv=""))


def test_a_csv_file_with_ragged_rows(folder):
    ragged = "user_id,item_id,timestamp\n1,2,3\n1,2,3,4,5\n"
    assert "events.csv: it cannot be read as csv" in refusal(folder(events_csv=ragged))


def test_a_csv_file_that_is_not_text(folder):
    assert "events.csv" in refusal(folder(events_csv=b"user_id,item_id,position\n\xff\xfe\x00,1,2\n"))


def test_a_file_with_a_header_only(folder):
    assert "the file has no rows" in refusal(folder(events_csv="user_id,item_id,timestamp\n"))


def test_everything_wrong_with_all_files_comes_at_once(folder):
    place = folder(
        events_parquet={
            "user": [1],
            "item_id": [1.5],
            "timestamp": [True],
            "rating": ["good"],
            "value": [1.0],
            "event": [3],
        },
        users_parquet={"id": [1]},
        items_parquet={"item_id": [[1]]},
    )
    message = refusal(place)
    for part in (
        "events.parquet: the column 'user_id' is missing (it has: user, item_id, timestamp, rating, value, event)",
        "events.parquet: the columns 'rating' and 'value' mean the same",
        "events.parquet: the column 'item_id' must hold ids, but 1 values are no whole numbers",
        "events.parquet: the column 'timestamp' must hold times",
        "events.parquet: the column 'rating' must hold numbers (it is String)",
        "events.parquet: the column 'event' must hold kinds of events as text",
        "users.parquet: the column 'user_id' is missing",
        "items.parquet: the column 'item_id' must hold ids: integers or text",
        "Nothing was imported",
    ):
        assert part in message


def test_events_without_time_or_order(folder):
    assert "neither a column 'timestamp' nor 'position'" in refusal(folder(events_csv="user_id,item_id\n1,2\n"))


@pytest.mark.parametrize(
    ("position", "wrong"),
    [([1.5], "whole numbers"), (["a"], "whole numbers"), ([10**12], "call the column 'timestamp'")],
)
def test_positions_must_be_small_whole_numbers(folder, position, wrong):
    assert wrong in refusal(folder(events_parquet={"user_id": [1], "item_id": [1], "position": position}))


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("repeat = true", "unknown key 'repeat'"),
        ("repeats = 'yes'", "'repeats' must be true or false"),
        ("[events]\nweight = 3", "unknown key 'weight' in [events]"),
        ("[events]\npositive = 'buy'", "positive must be a list"),
        ("[events.weights]\nbuy = 'much'", "must give each event kind a number from 0 to 1000"),
        ("[events.weights]\nbuy = 1e30", "must give each event kind a number from 0 to 1000"),
        ("[events.weights]\nbuy = -1", "must give each event kind a number from 0 to 1000"),
        ("[events.weights]\nbuy = nan", "must give each event kind a number from 0 to 1000"),
        ("[events]\nmin_value = true", "min_value must be a number"),
        ("[users]\nage = 'number'", "is no column type"),
        ("users = 3", "[users] must be a table"),
        ("this is not TOML", "cannot be read as TOML"),
    ],
)
def test_a_wrong_schema_file_is_a_clear_mistake(folder, tmp_path, text, wrong):
    file = tmp_path / "schema.toml"
    file.write_text(text)
    assert wrong in refusal(folder(), file, ConfigError)


def test_all_that_is_wrong_with_a_schema_file_comes_at_once(folder, tmp_path):
    file = tmp_path / "schema.toml"
    file.write_text("repeats = 'yes'\nitems = 3\n[users]\nage = 'number'\n[events]\npositive = 'buy'")
    told = refusal(folder(), file, ConfigError)
    for wrong in ("'repeats' must", "[items] must be a table", "is no column type", "positive must be a list"):
        assert wrong in told


def test_a_missing_schema_file(folder, tmp_path):
    assert "There is no schema file" in refusal(folder(), tmp_path / "none.toml", ConfigError)


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("[users]\nheight = 'numeric'", "users.parquet: there are no columns height"),
        ("[items]\nprice = 'numeric'", "--schema speaks of columns of items"),
        ("title = 'price'", "the title column 'price' is not among the item columns"),
        ("clock = false", "it says clock = false"),
        ("[users]\ncity = 'numeric'", "the column 'city' has 1 values that are no numbers, such as 'Rome'"),
        ("[users]\ntags = 'numeric'", "the column 'tags' holds lists, which cannot be numeric"),
    ],
)
def test_a_schema_file_that_does_not_fit_the_data(folder, tmp_path, text, wrong):
    file = tmp_path / "schema.toml"
    file.write_text(text)
    users = {"user_id": [1], "city": ["Rome"], "tags": [["a"]]}
    assert wrong in refusal(folder(users_parquet=users), file)
