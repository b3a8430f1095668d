"""The event log: acknowledged once, in order, on disk, for many threads and processes."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sqlite3
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import polars as pl
import pytest

from recsys.data.canonical import EVENT_SCHEMA
from recsys.errors import DataError
from recsys.events.log import LOG_SCHEMA, EventLog


@pytest.fixture
def log(tmp_path):
    return EventLog(tmp_path / "events" / "log.sqlite")


def test_a_new_log_is_empty(log):
    assert (log.position(), log.count()) == (0, 0)
    assert log.read().schema == LOG_SCHEMA
    assert log.read().height == 0


def test_events_come_back_as_they_were_given(log, canonical):
    given = canonical(("a", "x", 5, "buy", 0.1), ("b", "é", -7, None, None), ("a", "", 2**60, "", 3.5))
    appended = log.append(given, received_at=99)
    assert (appended.first_sequence, appended.last_sequence, appended.accepted, appended.duplicates) == (1, 3, 3, 0)
    back = log.read()
    assert back.select(EVENT_SCHEMA.names()).equals(given)
    assert back["log_sequence"].to_list() == [1, 2, 3]
    assert back["received_at"].to_list() == [99, 99, 99]


def test_received_at_is_now_unless_given(log, canonical):
    before = time.time_ns() // 1000
    log.append(canonical(("a", "x", 5)))
    assert before <= log.read()["received_at"][0] <= time.time_ns() // 1000


def test_appending_again_changes_nothing_and_uses_no_sequence_number(log, canonical):
    first = canonical(("a", "x", 1), ("a", "y", 2))
    log.append(first)
    again = log.append(first)
    assert (again.accepted, again.duplicates, again.last_sequence) == (0, 2, 2)
    mixed = log.append(pl.concat([first, canonical(("a", "z", 3)), canonical(("a", "z", 3))]))
    assert (mixed.first_sequence, mixed.last_sequence, mixed.accepted, mixed.duplicates) == (3, 3, 1, 3)
    assert log.read()["log_sequence"].to_list() == [1, 2, 3]


def test_other_content_under_an_id_that_is_known_is_counted_and_the_first_stays(log, canonical):
    first, second = canonical(("ann", "a", 10), ("bob", "b", 20)).partition_by("user_id")
    other = second.with_columns(event_id=first["event_id"])
    assert log.append(first).conflicts == 0
    again = log.append(pl.concat([first, other, second, second.with_columns(value=pl.lit(None, pl.Float32))]))
    assert (again.accepted, again.duplicates, again.conflicts) == (1, 3, 2)
    assert log.read()["user_id"].to_list() == ["ann", "bob"]
    assert log.append(first.with_columns(event=pl.lit("buy"))).conflicts == 1
    assert log.append(first.with_columns(occurred_at=pl.lit(11, pl.Int64))).conflicts == 0, "sent again without a time"


def test_reading_by_user_and_by_position(log, canonical):
    log.append(canonical(*[(user, f"i{n}", n) for n in range(5) for user in "abc"]))
    assert log.read(["b"])["log_sequence"].to_list() == [2, 5, 8, 11, 14]
    assert log.read(["b", "c"], after=5, upto=9)["log_sequence"].to_list() == [6, 8, 9]
    assert log.read(upto=2)["log_sequence"].to_list() == [1, 2]
    assert log.read([]).height == 0
    assert log.read(["b' OR 1=1 --", '"', "\\"]).height == 0
    assert log.newest(2)["log_sequence"].to_list() == [14, 15]


def test_many_users_can_be_asked_for_at_once(log, canonical):
    log.append(canonical(*[(f"u{n}", "x", 1) for n in range(40_000)]))
    assert log.read([f"u{n}" for n in range(39_000)]).height == 39_000


def test_a_large_first_import_keeps_the_indexes(log, canonical):
    log.append(canonical(*[("a", f"i{n}", n) for n in range(12_000)]))
    with sqlite3.connect(log.path) as connection:
        plan = connection.execute("EXPLAIN QUERY PLAN SELECT 1 FROM events WHERE user_id = 'a'").fetchall()
        assert "events_by_user" in str(plan)
        with pytest.raises(sqlite3.IntegrityError, match="event_id"):
            connection.execute(
                "INSERT INTO events (event_id, user_id, item_id, occurred_at, received_at) "
                "SELECT event_id, 'b', 'c', 1, 1 FROM events LIMIT 1"
            )
    connection.close()


@pytest.mark.parametrize(
    ("spoil", "wrong"),
    [
        (lambda f: f.drop("item_id"), "'item_id' is missing"),
        (lambda f: f.with_columns(pl.lit(1).alias("user_id")), "'user_id' is Int32, not String"),
        (lambda f: f.with_columns(pl.lit(None, dtype=pl.Int64).alias("occurred_at")), "'occurred_at' has 1 nulls"),
        (lambda f: f.with_columns(pl.lit("a\0x").alias("user_id")), "'user_id' holds a NUL character"),
        (lambda f: f.with_columns(pl.lit("\0").alias("event_id")), "'event_id' holds a NUL character"),
        (lambda f: f.drop("event", "value"), "'event' is missing; the column 'value' is missing"),
    ],
)
def test_events_that_are_not_canonical_are_refused_and_nothing_is_written(log, canonical, spoil, wrong):
    with pytest.raises(DataError) as caught:
        log.append(spoil(canonical(("a", "x", 1))))
    assert wrong in str(caught.value)
    assert log.count() == 0


def test_position_stays_when_the_newest_events_are_deleted(log, canonical):
    log.append(canonical(("a", "x", 1), ("a", "y", 2)))
    with sqlite3.connect(log.path) as connection:
        connection.execute("DELETE FROM events WHERE log_sequence = 2")
    connection.close()
    assert log.position() == 2
    assert log.append(canonical(("a", "z", 3))).first_sequence == 3


def test_durable_settings_are_on(log):
    connection = log._database.connection()
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert connection.execute("PRAGMA synchronous").fetchone() == (2,)


@pytest.mark.parametrize("content", [b"this is no database, and long enough to look like one" * 40])
def test_a_file_that_is_no_log_is_named(tmp_path, content):
    path = tmp_path / "log.sqlite"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"log\.sqlite cannot be opened"):
        EventLog(path).position()


def test_a_log_whose_place_is_taken_is_named(tmp_path):
    (tmp_path / "events").write_text("a file where the folder should be")
    with pytest.raises(DataError, match="cannot be opened"):
        EventLog(tmp_path / "events" / "log.sqlite").position()


def test_threads_share_one_log(log, canonical):
    frames = [canonical(*[(f"u{n}", f"i{m}", m) for m in range(20)]) for n in range(8)]
    with ThreadPoolExecutor(8) as threads:
        done = list(threads.map(log.append, frames))
    assert sorted(n for d in done for n in range(d.first_sequence, d.last_sequence + 1)) == list(range(1, 161))
    assert log.count() == 160


def _append_in_a_process(path, number, canonical_rows):
    EventLog(path).append(canonical_rows[number])


@pytest.mark.slow
def test_processes_share_one_log_even_when_it_is_new(log, canonical):
    frames = [canonical(*[(f"u{n}", f"i{m}", m) for m in range(50)], ("same", "x", 1)) for n in range(4)]
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_append_in_a_process, args=(log.path, n, frames)) for n in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert [worker.exitcode for worker in workers] == [0] * 4
    assert log.read()["log_sequence"].to_list() == list(range(1, 202))


@pytest.mark.slow
def test_what_was_acknowledged_survives_a_killed_process(log):
    code = f"""
import sys; from pathlib import Path; import polars as pl
from recsys.data.canonical import EVENT_SCHEMA
from recsys.events.log import EventLog
log = EventLog(Path({str(log.path)!r}))
for n in range(10**6):
    log.append(pl.DataFrame([(str(n), "a", "x", n, None, 1.0)], schema=EVENT_SCHEMA, orient="row"))
    print(n + 1, flush=True)
"""
    writer = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    acknowledged = [int(writer.stdout.readline()) for _ in range(20)][-1]
    os.kill(writer.pid, signal.SIGKILL)
    rest, _ = writer.communicate()
    acknowledged = max([acknowledged, *(int(line) for line in rest.split())])
    kept = log.read()
    assert kept["event_id"].to_list()[:acknowledged] == [str(n) for n in range(acknowledged)]
    assert kept.height - acknowledged in (0, 1)


def test_a_failed_append_leaves_nothing(log, canonical, monkeypatch):
    frame = canonical(*[("a", f"i{n}", n) for n in range(20_000)])
    bad = frame.with_columns(
        pl.when(pl.col("item_id") == "i19999").then(pl.lit(None)).otherwise("item_id").alias("item_id")
    )
    monkeypatch.setattr("recsys.events.appending._check", lambda _: None)
    with pytest.raises(sqlite3.IntegrityError):
        log.append(bad)
    assert (log.count(), log.position()) == (0, 0)
    assert log.append(frame).accepted == 20_000
