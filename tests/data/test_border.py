"""The border of log and catalogue: everything wrong with a frame in one message, with column, rows and reason."""

from __future__ import annotations

import time

import polars as pl
import pytest

from recsys.data.border import check_events, event_frame_problems
from recsys.data.canonical import EVENT_SCHEMA
from recsys.data.ids import HOLDS_NUL
from recsys.errors import DataError

NOW = time.time_ns() // 1_000
GOOD = ("e{n}", "u", "i", NOW, "buy", 1.0)


def frame(*changes, rows=4):
    """`rows` good events; each change is (row from 1, column, value)."""
    made = pl.DataFrame([(f"e{n}", *GOOD[1:]) for n in range(rows)], schema=EVENT_SCHEMA, orient="row")
    plain = made.to_dicts()
    for row, column, value in changes:
        plain[row - 1][column] = value
    return pl.DataFrame(plain, schema=EVENT_SCHEMA)


def test_canonical_events_pass_with_and_without_kind_and_value():
    assert event_frame_problems(frame((1, "event", None), (2, "value", None)), clock=True) == []
    check_events(frame(), "a file", clock=True)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ([(2, "user_id", " ")], "events: 'user_id' is blank in row 2"),
        ([(2, "user_id", "ann\0x")], f"events: 'user_id' {HOLDS_NUL} in row 2"),
        ([(1, "event_id", "\0")], f"events: 'event_id' {HOLDS_NUL} in row 1"),
        ([(2, "item_id", ""), (4, "item_id", "")], "events: 'item_id' is blank in rows 2, 4"),
        ([(3, "occurred_at", None)], "events: 'occurred_at' is missing in row 3"),
        ([(1, "value", float("nan"))], "events: 'value' is NaN or infinite in row 1"),
        ([(1, "occurred_at", 0)], "events: 'occurred_at' lies at or before 1970 in row 1"),
        ([(4, "occurred_at", 4 * NOW)], "events: 'occurred_at' lies more than a day ahead of now in row 4"),
        ([(3, "event_id", "e0")], "events: 'event_id' comes more than once in rows 1, 3"),
    ],
)
def test_what_is_wrong_with_a_row_is_told_with_its_number(changes, told):
    assert event_frame_problems(frame(*changes), clock=True) == [told]


def test_one_message_lists_everything():
    with pytest.raises(DataError) as caught:
        check_events(frame((1, "user_id", None), (2, "value", float("inf"))), "more.csv", clock=True)
    told = str(caught.value)
    assert "The events from more.csv" in told
    assert "'user_id' is missing in row 1" in told
    assert "'value' is NaN or infinite in row 2" in told
    assert told.endswith("Nothing was appended.")


def test_many_rows_are_counted_after_the_first_five():
    changes = [(row, "user_id", "") for row in range(1, 1_021)]
    assert event_frame_problems(frame(*changes, rows=1_200), clock=True) == [
        "events: 'user_id' is blank in rows 1, 2, 3, 4, 5 and 1,015 more"
    ]


def test_without_a_clock_times_are_only_an_order():
    assert event_frame_problems(frame((1, "occurred_at", -5), (2, "occurred_at", 4 * NOW)), clock=False) == []


def test_columns_and_types_are_checked_as_well():
    wrong = frame().drop("item_id").with_columns(extra=pl.lit(1), user_id=pl.lit(7))
    told = " ".join(event_frame_problems(wrong, clock=True))
    assert "the column 'item_id' is missing" in told
    assert "the column 'extra' is not in the schema" in told
