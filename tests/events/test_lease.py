"""One holder at a time, a larger token each time, a job before a serving process; the clock only decides how soon."""

import sqlite3
import threading
from contextlib import closing

import pytest

from recsys.errors import LeaseError
from recsys.events.lease import FoldLease, maintenance

SECOND = 1_000_000


class Clock:
    now = 1_000 * SECOND

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def leases(tmp_path, clock):
    return [FoldLease(tmp_path / "log.sqlite", clock=clock, seconds=10) for _ in range(3)]


def test_a_held_lease_is_not_given_twice_until_it_expires(leases, clock):
    first, second, _ = leases
    token = first.acquire("serving")
    assert second.acquire("serving") is None
    assert first.acquire("serving") is None
    clock.now += 10 * SECOND - 1
    assert second.acquire("serving") is None
    clock.now += 1
    assert second.acquire("serving") == token + 1


def test_renewing_prolongs_it_and_fails_once_somebody_else_has_it(leases, clock):
    first, second, _ = leases
    token = first.acquire("serving")
    for _ in range(3):
        clock.now += 9 * SECOND
        assert first.renew(token)
        assert second.acquire("serving") is None
    clock.now += 11 * SECOND
    assert first.renew(token), "expired, but nobody wanted it"
    clock.now += 11 * SECOND
    assert second.acquire("serving") is not None
    assert not first.renew(token)


def test_released_it_is_free_at_once_and_a_late_release_takes_it_from_nobody(leases):
    first, second, third = leases
    token = first.acquire("serving")
    first.release(token)
    other = second.acquire("serving")
    assert other == token + 1
    first.release(token)
    assert third.acquire("serving") is None


def test_a_job_takes_it_from_a_serving_process_and_not_from_another_job(leases):
    first, second, third = leases
    served = first.acquire("serving")
    job = second.acquire("maintenance")
    assert job == served + 1
    assert not first.renew(served)
    assert third.acquire("maintenance") is None
    assert first.acquire("serving") is None


def test_a_clock_that_jumps_back_gives_the_lease_to_nobody_else(leases, clock):
    first, second, _ = leases
    first.acquire("serving")
    clock.now -= 500 * SECOND
    assert second.acquire("serving") is None


def test_tokens_grow_whoever_asks_at_the_same_time(tmp_path):
    tokens = []

    def work():
        lease = FoldLease(tmp_path / "log.sqlite")
        for _ in range(20):
            token = lease.acquire("maintenance")
            if token is not None:
                tokens.append(token)
                lease.release(token)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(tokens) >= 20
    assert len(set(tokens)) == len(tokens)


def test_nobody_takes_the_lease_during_a_guarded_step(leases):
    first, second, _ = leases
    token = first.acquire("serving")
    taken = threading.Event()

    def take():
        second.acquire("maintenance")
        taken.set()

    thread = threading.Thread(target=take)
    with first.guarded(token):
        thread.start()
        assert not taken.wait(0.2)
    thread.join()
    assert taken.is_set()
    ran = []
    with pytest.raises(LeaseError, match="taken over"), first.guarded(token):
        ran.append(1)
    assert ran == []


def test_a_job_keeps_its_lease_while_it_works_and_lets_go_at_the_end(tmp_path):
    path = tmp_path / "log.sqlite"
    job, other = FoldLease(path, seconds=0.3), FoldLease(path)
    with maintenance(job, "rebuild"):
        assert not threading.Event().wait(0.6)
        assert other.acquire("maintenance") is None
    assert other.acquire("serving") is not None


def test_a_job_keeps_its_lease_though_the_log_was_locked_for_longer_than_renewing_waits(tmp_path, monkeypatch):
    monkeypatch.setattr("recsys.events.database.LOCK_WAIT_SECONDS", 0.2)
    path = tmp_path / "log.sqlite"
    job = FoldLease(path, seconds=1.2)
    with maintenance(job, "rebuild"):
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            assert not threading.Event().wait(0.9)
        assert not threading.Event().wait(1.5)
        assert FoldLease(path).acquire("maintenance") is None


def test_a_log_that_takes_anothers_place_gives_no_token_again(tmp_path):
    former, restored = FoldLease(tmp_path / "former.sqlite"), FoldLease(tmp_path / "restored.sqlite")
    for _ in range(3):
        paused = former.acquire("maintenance")
        former.release(paused)
    restored.acquire("serving")
    assert restored.surpass(former) == paused + 1
    assert restored.acquire("serving") == paused + 2
    assert restored.surpass(FoldLease(tmp_path / "new.sqlite")) == paused + 3


def test_a_job_that_waits_too_long_says_for_whom(leases):
    first, second, _ = leases
    first.acquire("maintenance")
    patience = pytest.raises(LeaseError, match=r"Cannot delete a user: process \d+ .*maintenance has been changing")
    with patience, maintenance(second, "delete a user", wait_seconds=0.1):
        pass


def test_a_log_of_an_earlier_layout_gets_its_lease(tmp_path):
    from recsys.events.log import EventLog

    path = tmp_path / "log.sqlite"
    EventLog(path).position()
    with sqlite3.connect(path) as old:
        for table in ("lease", "removals", "salt"):
            old.execute(f"DROP TABLE {table}")
        old.execute("PRAGMA user_version = 0")
    old.close()
    assert FoldLease(path).acquire("serving") == 1
