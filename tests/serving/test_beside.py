"""Work beside the replies never makes them wait or fail; what cannot be done is counted and said once."""

from __future__ import annotations

import threading

import pytest

from recsys.serving.experiment.beside import Beside


@pytest.fixture
def gate():
    """Holds the work back until it is opened."""
    gate = threading.Event()
    yield gate
    gate.set()


def test_everything_handed_over_is_done_in_order_when_it_is_left():
    done = []
    with Beside(done.extend, what="work", size=1_000, gather_seconds=60) as beside:
        for n in range(500):
            beside.hand_over(n)
    assert done == list(range(500))
    assert (beside.done, beside.dropped) == (500, 0)


def test_what_comes_together_is_done_together():
    batches = []
    with Beside(batches.append, what="work", size=100, gather_seconds=60) as beside:
        for n in range(50):
            beside.hand_over(n)
    assert sum(map(len, batches)) == 50
    assert len(batches) <= 2


def test_more_than_may_wait_is_dropped_and_counted_and_said_once(gate, caplog):
    started = threading.Event()

    def slowly(batch):
        started.set()
        gate.wait()

    with Beside(slowly, what="impressions", size=3) as beside:
        beside.hand_over(0)
        assert started.wait(5)
        for n in range(10):
            beside.hand_over(n)
        assert beside.dropped == 7
        assert [record.message.split(":")[0] for record in caplog.records] == ["impressions"]
        gate.set()
    assert (beside.done, beside.dropped) == (4, 7)


def test_work_that_fails_is_dropped_and_the_next_is_done(caplog):
    done, broken = [], threading.Event()
    broken.set()

    def work(batch):
        if broken.is_set():
            raise OSError("the disk is full")
        done.extend(batch)

    with Beside(work, what="impressions", size=10) as beside:
        for n in range(5):
            beside.hand_over(n)
        while beside.dropped < 5:
            threading.Event().wait(0.01)
        broken.clear()
        beside.hand_over("after")
    assert done == ["after"]
    assert (beside.done, beside.dropped) == (1, 5)
    assert caplog.text.count("the disk is full") == 1
