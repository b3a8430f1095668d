"""Each kind of row that is not plain has one stated treatment, and it is counted."""

from __future__ import annotations

from datetime import UTC, date, datetime

import polars as pl
import pytest

from recsys.data.canonical import CLOCKLESS_START, EVENT_SCHEMA, MICROSECONDS
from recsys.data.importer import read_folder
from recsys.errors import DataError

NOW = 1_700_000_000.0


def events_of(folder, **columns):
    return read_folder(folder(events_parquet=columns), now=NOW)


def treated(imported):
    return {t.what: (t.rows, t.done) for t in imported.treatments}


def test_plain_rows_are_canonical_and_need_no_treatment(folder):
    imported = read_folder(folder(), now=NOW)
    assert imported.events.schema == EVENT_SCHEMA
    assert imported.events["value"].to_list() == [1.0, 1.0, 1.0]
    assert imported.events["event"].null_count() == 3
    assert imported.treatments == ()


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (pl.Series([7, 70, 8]), ["7", "70", "8"]),
        (pl.Series([7.0, 70.0, 8.0]), ["7", "70", "8"]),
        (pl.Series(["7.0", "70.0", "8.0"]), ["7", "70", "8"]),
        (pl.Series(["7.0", "70.0", "x"]), ["7.0", "70.0", "x"]),
        (pl.Series(["007", " a ", "É"]), ["007", " a ", "É"]),
        (pl.Series(["a", "b", "a"], dtype=pl.Categorical), ["a", "b", "a"]),
    ],
    ids=["integers", "whole floats", "whole floats as text", "mixed text", "text stays as it is", "categories"],
)
def test_ids_become_one_text_each(folder, given, expected):
    imported = events_of(folder, user_id=given, item_id=given, timestamp=[1, 2, 3])
    assert imported.events["user_id"].to_list() == expected
    assert imported.events["item_id"].to_list() == expected


def test_ids_in_csv_keep_their_zeros(folder):
    imported = read_folder(folder(events_csv="user_id,item_id,timestamp\n007,0,5\n7,0,6\n"), now=NOW)
    assert imported.events["user_id"].to_list() == ["007", "7"]


def test_an_id_is_the_same_in_every_file_and_type(folder):
    imported = read_folder(
        folder(
            events_parquet={"user_id": [7.0], "item_id": [3], "timestamp": [5]},
            users_csv="user_id,age\n7,30\n",
            items_parquet={"item_id": ["3.0"], "title": ["Three"]},
        ),
        now=NOW,
    )
    assert imported.users["user_id"].to_list() == ["7"] == imported.events["user_id"].to_list()
    assert imported.items["item_id"].to_list() == ["3"] == imported.events["item_id"].to_list()


def test_rows_with_empty_blank_or_null_ids_are_dropped(folder):
    imported = events_of(
        folder,
        user_id=["a", "", "  ", None, "a"],
        item_id=["x", "x", "x", "x", ""],
        timestamp=[1, 2, 3, 4, 5],
    )
    assert imported.events.height == 1
    assert treated(imported) == {
        "rows with an empty or missing user_id": (3, "dropped"),
        "rows with an empty or missing item_id": (1, "dropped"),
    }


def test_nan_ids_are_missing_ids(folder):
    imported = events_of(folder, user_id=[1.0, float("nan")], item_id=[1, 2], timestamp=[1, 2])
    assert imported.events["user_id"].to_list() == ["1"]


SECOND = 1_600_000_000


@pytest.mark.parametrize(
    ("timestamps", "unit"),
    [
        (pl.Series([SECOND]), "seconds"),
        (pl.Series([float(SECOND)]), "seconds"),
        (pl.Series([SECOND * 1_000]), "milliseconds"),
        (pl.Series([SECOND * 1_000_000]), "microseconds"),
        (pl.Series([SECOND * 1_000_000_000]), "nanoseconds"),
        (pl.Series([str(SECOND)]), "seconds"),
        (pl.Series(["2020-09-13T12:26:40Z"]), "ISO"),
        (pl.Series(["2020-09-13 14:26:40+02:00"]), "ISO"),
        (pl.Series(["2020-09-13 12:26:40"]), "ISO"),
        (pl.Series([datetime(2020, 9, 13, 12, 26, 40)]), "UTC"),
        (pl.Series([datetime(2020, 9, 13, 12, 26, 40, tzinfo=UTC)]).dt.convert_time_zone("Asia/Tokyo"), "datetimes"),
    ],
    ids=["s", "float s", "ms", "us", "ns", "text number", "iso z", "iso zone", "iso naive", "datetime", "zoned"],
)
def test_every_usual_form_of_time_is_understood_and_said(folder, timestamps, unit):
    imported = events_of(folder, user_id=["a"], item_id=["x"], timestamp=timestamps)
    assert imported.events["occurred_at"].to_list() == [SECOND * MICROSECONDS]
    assert any(unit in note for note in imported.notes)


def test_a_date_is_midnight(folder):
    imported = events_of(folder, user_id=["a"], item_id=["x"], timestamp=[date(1970, 1, 2)])
    assert imported.events["occurred_at"].to_list() == [86_400 * MICROSECONDS]


def test_bad_timestamps_are_dropped_each_under_its_name(folder):
    ahead = int(NOW) + 90_000
    imported = events_of(
        folder,
        user_id=list("abcdef"),
        item_id=list("uvwxyz"),
        timestamp=[0, -5, None, ahead, int(NOW) + 60, int(NOW) - 60],
    )
    assert imported.events["user_id"].to_list() == ["f", "e"]
    assert treated(imported) == {
        "rows with a missing or unreadable timestamp": (1, "dropped"),
        "rows with a zero or negative timestamp": (2, "dropped"),
        "rows with a timestamp more than a day ahead of now": (1, "dropped"),
    }


def test_unreadable_text_times_are_dropped(folder):
    imported = events_of(folder, user_id=["a", "b"], item_id=["x", "y"], timestamp=["2020-01-01", "yesterday"])
    assert imported.events["user_id"].to_list() == ["a"]


def test_a_stray_huge_time_does_not_wrap_around(folder):
    # In microseconds the third one is a whole number of 2**64 beyond the first.
    imported = events_of(
        folder, user_id=list("abc"), item_id=list("xyz"), timestamp=[SECOND, SECOND + 1, SECOND + 2**58]
    )
    assert imported.events["user_id"].to_list() == ["a", "b"]


def test_positions_make_a_workspace_without_a_clock(folder):
    imported = events_of(folder, user_id=["a", "a", "b"], item_id=["y", "x", "x"], position=[1, 0, None])
    assert imported.schema.clock is False
    assert imported.events["item_id"].to_list() == ["x", "y"]
    assert imported.events["occurred_at"].to_list() == [CLOCKLESS_START, CLOCKLESS_START + MICROSECONDS]
    assert treated(imported) == {"rows without a position": (1, "dropped")}


def test_ties_in_time_keep_the_files_order(folder):
    items = [f"i{n}" for n in range(50)]
    imported = events_of(folder, user_id=["a"] * 50, item_id=items, timestamp=[5] * 50)
    assert imported.events["item_id"].to_list() == items


def test_positions_order_events_of_equal_time(folder):
    imported = events_of(folder, user_id=["a"] * 3, item_id=["z", "y", "x"], timestamp=[5, 5, 4], position=[2, 1, 3])
    assert imported.schema.clock is True
    assert imported.events["item_id"].to_list() == ["x", "y", "z"]


def test_equal_rows_are_kept_once(folder):
    imported = events_of(
        folder, user_id=["a", "a", "a"], item_id=["x", "x", "x"], timestamp=[1, 1, 1], rating=[3, 3, 4]
    )
    assert imported.events["value"].to_list() == [3.0, 4.0]
    assert treated(imported) == {"duplicate rows": (1, "dropped, one of each kept")}


@pytest.mark.parametrize("name", ["rating", "value"])
def test_values_that_say_nothing_are_kept_without_a_value(folder, name):
    values = [4.0, None, float("nan"), float("inf"), 0.0, -1.0]
    imported = events_of(
        folder, user_id=list("abcdef"), item_id=list("abcdef"), timestamp=range(1, 7), **{name: values}
    )
    assert imported.events["value"].to_list() == [4.0, None, None, None, 0.0, -1.0]
    assert treated(imported) == {f"rows with a missing, NaN or infinite {name}": (3, "kept without a value")}


def test_blank_kinds_are_no_kind(folder):
    imported = events_of(folder, user_id=["a", "a"], item_id=["x", "y"], timestamp=[1, 2], event=["", "buy"])
    assert imported.events["event"].to_list() == [None, "buy"]


def test_users_with_one_event_and_with_thousands_are_kept_whole(folder):
    imported = events_of(
        folder,
        user_id=["one"] + ["many"] * 2000,
        item_id=["x"] + [str(n) for n in range(2000)],
        timestamp=range(1, 2002),
    )
    counts = dict(imported.events.group_by("user_id").len().iter_rows())
    assert counts == {"one": 1, "many": 2000}


def test_the_last_row_of_an_id_holds(folder):
    imported = read_folder(folder(users_parquet={"user_id": [1, 2, 1], "city": ["Bonn", "Rome", "Oslo"]}), now=NOW)
    assert dict(imported.users.iter_rows()) == {"2": "Rome", "1": "Oslo"}
    assert treated(imported) == {"rows with a user_id that comes again below": (1, "dropped")}


def test_rows_of_items_without_an_id_are_dropped(folder):
    imported = read_folder(folder(items_parquet={"item_id": ["", None, "x"], "price": [1.0, 2.0, 3.0]}), now=NOW)
    assert imported.items.rows() == [("x", 3.0)]
    assert treated(imported) == {"rows with an empty or missing item_id": (2, "dropped")}


def test_nan_and_blank_cells_are_missing(folder):
    items = {"item_id": ["x", "y"], "price": [float("nan"), 3.0], "brand": ["acme", " "]}
    imported = read_folder(folder(items_parquet=items), now=NOW)
    assert imported.items["price"].to_list() == [None, 3.0]
    assert imported.items["brand"].to_list() == ["acme", None]
    assert {what for what, _ in treated(imported).items()} == {
        "NaN, infinite or blank values in 'price'",
        "NaN, infinite or blank values in 'brand'",
    }


def test_when_no_row_can_be_used_the_message_counts_the_reasons(folder):
    with pytest.raises(DataError, match=r"no row of 2 can be used \(1 rows with an empty .*1 rows with a zero"):
        events_of(folder, user_id=["", "a"], item_id=["x", "x"], timestamp=[5, 0])
