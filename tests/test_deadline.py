"""A time budget ends what is asked of sqlite, whether it computes or waits, and leaves the connection as it was."""

import contextlib
import sqlite3
import time

import pytest

from recsys.deadline import bounded, check_deadline, lock_wait, seconds_left, time_budget
from recsys.errors import StoreTimeoutError

ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"


@pytest.fixture
def connection(tmp_path):
    with contextlib.closing(sqlite3.connect(tmp_path / "some.db", timeout=30)) as opened:
        opened.execute("PRAGMA journal_mode = DELETE")
        opened.execute("CREATE TABLE t (x INTEGER)")
        opened.commit()
        yield opened


def test_without_a_budget_nothing_is_limited(connection):
    assert seconds_left() is None
    assert lock_wait(30) == 30
    check_deadline()
    with bounded(connection, 30):
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_a_query_that_computes_too_long_is_interrupted(connection):
    started = time.monotonic()
    with time_budget(0.1), pytest.raises(StoreTimeoutError), bounded(connection, 30):
        connection.execute(ENDLESS).fetchone()
    assert time.monotonic() - started < 2


def test_a_lock_is_waited_for_until_the_deadline_and_no_longer(connection, tmp_path):
    with contextlib.closing(sqlite3.connect(tmp_path / "some.db")) as other:
        other.execute("BEGIN EXCLUSIVE")
        started = time.monotonic()
        with time_budget(0.1), pytest.raises(StoreTimeoutError), bounded(connection, 30):
            connection.execute("SELECT * FROM t").fetchall()
        assert 0.05 < time.monotonic() - started < 2


def test_afterwards_the_connection_is_as_patient_as_before(connection):
    with time_budget(5), bounded(connection, 30):
        assert connection.execute("PRAGMA busy_timeout").fetchone()[0] <= 5_000
    assert connection.execute("PRAGMA busy_timeout").fetchone() == (30_000,)
    slow = ENDLESS.replace("FROM n)", "FROM n WHERE i < 300000)")
    assert connection.execute(slow).fetchone() == (300_000,)


def test_an_error_that_is_no_matter_of_time_stays_what_it_is(connection):
    with time_budget(5), pytest.raises(sqlite3.OperationalError, match="no such table"), bounded(connection, 30):
        connection.execute("SELECT * FROM missing")


def test_all_reads_inside_share_one_budget():
    with time_budget(0.05):
        time.sleep(0.06)
        assert (seconds_left(), lock_wait(30)) == (0.0, 0.0)
        with pytest.raises(StoreTimeoutError, match="time budget"):
            check_deadline()
    check_deadline()
