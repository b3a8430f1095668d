"""Online rows are refreshed in the background, each user once, failures included."""

import threading

from recsys.serving.live import BackgroundRefresh


def test_named_users_are_folded():
    done = []
    with BackgroundRefresh(done.extend) as live:
        live.refresh(["ann", "bob"])
        assert live.settle(2)
    assert done == ["ann", "bob"]


def test_a_user_named_often_meanwhile_is_folded_once_more():
    done, gate = [], threading.Event()

    def refold(users):
        gate.wait(2)
        done.append(list(users))

    with BackgroundRefresh(refold) as live:
        live.refresh(["ann"])
        for _ in range(5):
            live.refresh(["ann", "bob"])
        gate.set()
    assert done[0] in (["ann"], ["ann", "bob"])
    assert len(done) <= 2
    assert "bob" in done[-1]


def test_a_failure_does_not_stop_what_comes_after():
    done = []

    def refold(users):
        if "bad" in users:
            raise OSError("the store is gone")
        done.extend(users)

    with BackgroundRefresh(refold) as live:
        live.refresh(["bad"])
        assert live.settle(2)
        live.refresh(["good"])
        assert live.settle(2)
    assert done == ["good"]


def test_closing_does_what_is_left():
    done, gate = [], threading.Event()

    def refold(users):
        gate.wait(2)
        done.extend(users)

    live = BackgroundRefresh(refold)
    live.refresh(["ann"])
    live.refresh(["bob"])
    gate.set()
    live.close()
    assert sorted(done) == ["ann", "bob"]
