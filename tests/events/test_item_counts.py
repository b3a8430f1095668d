"""How many events of its item the log held before each event: counted at append, and never changed afterwards."""

from __future__ import annotations

import sqlite3

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.data.canonical import EVENT_SCHEMA
from recsys.errors import DataError
from recsys.events.item_counts import events_before
from recsys.events.log import EventLog

item_and_time = st.tuples(st.sampled_from("abc"), st.integers(-3, 3))


def frame_of(events, start=0):
    rows = [(f"e{n}", "u", item, at, None, 1.0) for n, (item, at) in enumerate(events, start)]
    return pl.DataFrame(rows, schema=EVENT_SCHEMA, orient="row")


def counted(events):
    """In a loop: those of the item that stand before and did not happen later."""
    return [sum(own == item and then <= at for own, then in events[:n]) for n, (item, at) in enumerate(events)]


def stored(log):
    return log.read()["item_events_before"].to_list()


def totals(log):
    with sqlite3.connect(log.path) as connection:
        found = dict(connection.execute("SELECT item_id, events FROM item_counts").fetchall())
    connection.close()
    return found


@given(st.lists(item_and_time, max_size=40))
def test_counting_is_what_a_loop_says(events):
    frame = frame_of(events)
    assert events_before(frame["item_id"], frame["occurred_at"]).tolist() == counted(events)


@given(st.lists(st.lists(item_and_time, max_size=6), max_size=5))
def test_appends_count_what_came_before_however_events_are_bundled_and_late(tmp_path_factory, bundles):
    log = EventLog(tmp_path_factory.mktemp("log") / "log.sqlite")
    events = []
    for bundle in bundles:
        log.append(frame_of(bundle, start=len(events)))
        events += bundle
        assert stored(log) == counted(events)
    log.close()


def test_an_event_that_is_sent_again_is_not_counted_again(tmp_path):
    log = EventLog(tmp_path / "log.sqlite")
    for _ in range(2):
        log.append(frame_of([("a", 1), ("a", 2)]))
    log.append(frame_of([("a", 3)], start=9))
    assert stored(log) == [0, 1, 2]


def test_deleting_events_changes_no_number_but_those_of_events_to_come(tmp_path):
    log = EventLog(tmp_path / "log.sqlite")
    log.append(frame_of([("a", 1), ("a", 2), ("b", 2)]))
    with sqlite3.connect(log.path) as connection:
        connection.execute("DELETE FROM events WHERE log_sequence IN (1, 3)")
    connection.close()
    assert stored(log) == [1]
    assert totals(log) == {"a": 1}  # nothing is left of an item without events
    log.append(frame_of([("a", 3), ("b", 3)], start=9))
    assert stored(log) == [1, 1, 0]


def test_a_log_of_an_earlier_version_is_counted_when_it_is_opened(tmp_path):
    path = tmp_path / "log.sqlite"
    events = [("a", 2), ("b", 1), ("a", 1), ("a", 2)]
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(
            "CREATE TABLE events (log_sequence INTEGER PRIMARY KEY AUTOINCREMENT, event_id TEXT NOT NULL, "
            "user_id TEXT NOT NULL, item_id TEXT NOT NULL, occurred_at INTEGER NOT NULL, "
            "received_at INTEGER NOT NULL, event TEXT, value REAL) STRICT"
        )
        connection.executemany(
            "INSERT INTO events (event_id, user_id, item_id, occurred_at, received_at) VALUES (?, 'u', ?, ?, 0)",
            [(f"e{n}", item, at) for n, (item, at) in enumerate(events)],
        )
    connection.close()
    log = EventLog(path)
    assert stored(log) == counted(events) == [0, 0, 0, 2]
    assert totals(log) == {"a": 3, "b": 1}
    log.close()
    log.append(frame_of([("a", 9)], start=9))
    assert stored(log)[-1] == 3


def test_a_log_of_a_later_version_is_refused(tmp_path):
    path = tmp_path / "log.sqlite"
    EventLog(path).append(frame_of([("a", 1)]))
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(DataError, match=r"version 99.*use the recsys that wrote it"):
        EventLog(path).position()
