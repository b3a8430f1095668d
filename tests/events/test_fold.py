"""The fold from a user's slice of the log to that user's feature row."""

from __future__ import annotations

import polars as pl
import pytest

from recsys.data.schema import EventMeaning, WorkspaceSchema
from recsys.events.derived import DERIVED_COLUMNS
from recsys.events.fold import FOLD_SCHEMA, HISTORY_LENGTH, fold
from recsys.events.log import EventLog
from recsys.events.ordering import interactions, positions_back

FILMS = WorkspaceSchema(name="films", events=EventMeaning(negative=("skip",)))


@pytest.fixture
def logged(tmp_path, canonical):
    log = EventLog(tmp_path / "log.sqlite")

    def read(*rows):
        log.append(canonical(*rows))
        return log.read()

    return read


def test_one_row_holds_all_that_the_events_say(logged):
    events = logged(
        ("u", "b", 20, None, 4.0),
        ("u", "a", 10, None, 5.0),
        ("u", "c", 30, "skip", 1.0),
        ("u", "a", 40, None, 2.0),
    )
    rows = fold(events, FILMS)
    assert rows.schema == FOLD_SCHEMA
    assert rows.drop(DERIVED_COLUMNS).row(0, named=True) == {
        "user_id": "u",
        "history_items": ["a", "b"],
        "history_times": [10, 20],
        "history_values": [5.0, 4.0],
        "seen_items": ["a", "b", "c"],
        "seen_counts": [1, 1, 0],
        "seen_last": [10, 20, 0],
        "event_count": 2,
        "first_event_at": 10,
        "last_event_at": 20,
        "log_sequence": 4,
        "effective_at": 40,
    }


def test_history_is_cut_but_seen_and_count_are_complete(logged):
    row = fold(logged(*[("u", f"i{n}", n, None, float(n)) for n in range(2000)]), FILMS).row(0, named=True)
    assert row["history_items"] == [f"i{n}" for n in range(2000 - HISTORY_LENGTH, 2000)]
    assert row["history_times"] == list(range(2000 - HISTORY_LENGTH, 2000))
    assert row["history_values"] == row["history_times"]
    assert row["seen_items"] == [f"i{n}" for n in range(2000)]
    assert (row["event_count"], row["first_event_at"], row["last_event_at"]) == (2000, 0, 1999)


def test_before_a_moment_the_moment_itself_is_unknown_even_among_ties(logged):
    events = logged(("u", "a", 5), ("u", "b", 5), ("u", "c", 5))
    last = positions_back(interactions(events, FILMS), 1)
    row = fold(events, FILMS, before=last).row(0, named=True)
    assert row["history_items"] == row["seen_items"] == ["a", "b"]
    assert (row["log_sequence"], row["effective_at"]) == (2, 6)


def test_a_user_with_nothing_before_the_moment_gets_an_empty_row_just_before_the_first_event(logged):
    events = logged(("u", "a", 5), ("v", "a", 3), ("v", "b", 4))
    rows = fold(events, FILMS, before=positions_back(interactions(events, FILMS), 1))
    assert rows["user_id"].to_list() == ["u", "v"]
    empty = rows.row(0, named=True)
    assert (empty["history_items"], empty["seen_items"], empty["event_count"]) == ([], [], 0)
    assert (empty["first_event_at"], empty["last_event_at"], empty["log_sequence"]) == (0, 0, 0)
    assert empty["effective_at"] == 4


def test_before_leaves_out_users_that_it_does_not_name(logged):
    events = logged(("u", "a", 5), ("v", "a", 3), ("v", "b", 4))
    assert fold(events, FILMS, before=positions_back(interactions(events, FILMS), 2))["user_id"].to_list() == ["v"]


def test_a_user_with_only_negative_events_has_seen_but_no_history(logged):
    row = fold(logged(("u", "a", 5, "skip", 1.0)), FILMS).row(0, named=True)
    assert (row["history_items"], row["seen_items"], row["event_count"]) == ([], ["a"], 0)
    assert (row["log_sequence"], row["effective_at"]) == (1, 5)


def test_events_that_say_nothing_leave_no_trace_but_the_sequence(logged):
    schema = WorkspaceSchema(name="shop", events=EventMeaning(positive=("buy",)))
    row = fold(logged(("u", "a", 5, "buy", 1.0), ("u", "b", 6, "hover", 1.0)), schema).row(0, named=True)
    assert row["history_items"] == row["seen_items"] == ["a"]
    assert row["log_sequence"] == 2


def test_repeated_items_stay_in_the_history_where_items_repeat(logged):
    events = logged(("u", "milk", 1), ("u", "eggs", 2), ("u", "milk", 3))
    row = fold(events, WorkspaceSchema(name="groceries", repeats=True)).row(0, named=True)
    assert row["history_items"] == ["milk", "eggs", "milk"]
    assert row["seen_items"] == ["milk", "eggs"]
    assert (row["seen_counts"], row["seen_last"]) == ([2, 1], [3, 2])


def test_no_events_fold_to_no_rows(logged):
    assert fold(logged(), FILMS).schema == FOLD_SCHEMA
    nobody = pl.DataFrame(schema={"user_id": pl.String, "effective_at": pl.Int64})
    assert fold(logged(("u", "a", 1)), FILMS, before=nobody).height == 0
