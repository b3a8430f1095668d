"""An event may name the request that it answers; nothing but what asks for it sees that."""

from __future__ import annotations

import sqlite3

import polars as pl
import pytest

from recsys.data.canonical import EVENT_SCHEMA
from recsys.errors import DataError
from recsys.events.log import LOG_SCHEMA, EventLog
from recsys.events.outcomes import OUTCOME_SCHEMA, Outcomes


@pytest.fixture
def log(tmp_path):
    return EventLog(tmp_path / "log.sqlite")


def naming(frame, *requests):
    return frame.with_columns(pl.Series("request_id", requests, dtype=pl.String))


def test_the_request_is_kept_with_its_event_and_is_no_part_of_what_others_read(log, canonical):
    log.append(naming(canonical(("ann", "a", 10), ("bob", "b", 20)), "r1", None), received_at=100)
    log.append(canonical(("ann", "c", 30)), received_at=200)
    found = Outcomes(log.path).since(0)
    assert found.schema == OUTCOME_SCHEMA
    assert found["request_id"].to_list() == ["r1", None, None]
    assert Outcomes(log.path).since(150)["item_id"].to_list() == ["c"]
    assert Outcomes(log.path).answers(["ann", "bob"]).rows() == [(1, "r1")]
    assert log.read().schema == LOG_SCHEMA


def test_another_request_under_a_known_event_id_is_a_conflict_and_the_first_stays(log, canonical):
    event = canonical(("ann", "a", 10))
    log.append(naming(event, "r1"))
    assert log.append(naming(event, "r1")).conflicts == 0
    assert log.append(naming(event, "r2")).conflicts == 1
    assert Outcomes(log.path).since(0)["request_id"].to_list() == ["r1"]


def test_a_request_that_cannot_be_stored_is_refused(log, canonical):
    with pytest.raises(DataError, match="'request_id' holds a NUL"):
        log.append(naming(canonical(("ann", "a", 10)), "r\0"))
    with pytest.raises(DataError, match="'request_id' is Int32"):
        log.append(canonical(("ann", "a", 10)).with_columns(request_id=pl.lit(1)))


def test_a_log_of_an_earlier_layout_gets_the_column_and_keeps_its_events(log, canonical):
    log.append(canonical(("ann", "a", 10)))
    log.close()
    with sqlite3.connect(log.path) as connection:
        connection.execute("ALTER TABLE events DROP COLUMN request_id")
        connection.execute("PRAGMA user_version = 4")
    connection.close()
    log.append(naming(canonical(("ann", "b", 20)), "r1"))
    assert Outcomes(log.path).since(0)["request_id"].to_list() == [None, "r1"]
    assert log.read().select(EVENT_SCHEMA.names())["item_id"].to_list() == ["a", "b"]
