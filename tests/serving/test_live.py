"""The thread that holds the lease folds what is new; without the lease it stands by, and it outlives failures."""

import threading
import time

import pytest

from recsys.errors import LeaseError
from recsys.events.lease import FoldLease
from recsys.serving.folder.live import LiveFolder


@pytest.fixture
def path(tmp_path):
    return tmp_path / "log.sqlite"


def lease(path) -> FoldLease:
    return FoldLease(path, seconds=0.6)


def until(condition, seconds=5.0):
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)
    return condition()


class Work:
    """Steps left to do; each call does one under its token."""

    def __init__(self, steps=0):
        self.left, self.tokens, self.error = steps, [], None

    def __call__(self, token):
        if self.error is not None:
            raise self.error
        self.tokens.append(token)
        self.left = max(0, self.left - 1)
        return self.left > 0


def test_it_folds_until_nothing_is_left(path):
    work = Work(steps=5)
    with LiveFolder(lease(path), work, poll_seconds=60) as live:
        live.refresh(["ann"])
        assert live.settle(5)
        assert live.holds_lease
        assert work.left == 0
    assert set(work.tokens) == {1}


def test_a_call_is_answered_without_waiting_for_the_next_poll(path):
    work = Work()
    with LiveFolder(lease(path), work, poll_seconds=60) as live:
        assert until(lambda: work.tokens)
        work.left = 3
        live.refresh(["ann"])
        assert until(lambda: work.left == 0, seconds=2)


def test_what_other_processes_appended_is_found_by_polling(path):
    work = Work()
    with LiveFolder(lease(path), work, poll_seconds=0.02):
        assert until(lambda: work.tokens)
        work.left = 3
        assert until(lambda: work.left == 0)


def test_while_another_process_holds_the_lease_it_stands_by_and_then_takes_over(path):
    other, work = lease(path), Work(steps=1)
    token = other.acquire("serving")
    with LiveFolder(lease(path), work, poll_seconds=0.02) as live:
        live.refresh(["ann"])
        assert not live.settle(0.3)
        assert work.tokens == []
        assert other.renew(token)
        assert until(lambda: work.tokens), "an expired lease passes on"
        assert work.tokens[0] == token + 1
        assert not other.renew(token)


def test_it_keeps_the_lease_while_it_is_idle(path):
    work = Work()
    with LiveFolder(lease(path), work, poll_seconds=0.05) as live:
        assert until(lambda: live.holds_lease)
        time.sleep(1.2)
        assert lease(path).acquire("serving") is None


def test_it_gives_way_to_a_job_and_comes_back_with_a_new_token(path):
    job, work = lease(path), Work()
    with LiveFolder(lease(path), work, poll_seconds=0.02) as live:
        assert until(lambda: live.holds_lease)
        token = job.acquire("maintenance")
        work.error = LeaseError("refused by the store")
        assert until(lambda: not live.holds_lease)
        work.error, work.left = None, 1
        done = len(work.tokens)
        time.sleep(0.1)
        assert len(work.tokens) == done
        job.release(token)
        assert until(lambda: work.tokens[-1] == token + 1)


def test_a_failure_does_not_stop_what_comes_after(path):
    work = Work()
    with LiveFolder(lease(path), work, poll_seconds=0.02) as live:
        work.error = OSError("the store is gone")
        live.refresh(["ann"])
        assert not live.settle(0.2)
        work.error = None
        assert live.settle(2)


def test_closing_does_what_is_left_and_frees_the_lease_at_once(path):
    gate, work = threading.Event(), Work(steps=3)

    def slow(token):
        gate.wait(2)
        return work(token)

    with LiveFolder(FoldLease(path), slow, poll_seconds=60) as live:
        live.refresh(["ann"])
        gate.set()
    assert work.left == 0
    assert FoldLease(path).acquire("serving") is not None


def test_calls_that_come_close_together_are_one_step(path):
    work = Work()
    with LiveFolder(lease(path), work, poll_seconds=60, gather_seconds=0.3) as live:
        assert until(lambda: work.tokens)
        before = len(work.tokens)
        for _ in range(5):
            live.refresh(["ann"])
        assert live.settle(5)
        assert len(work.tokens) == before + 1
