"""The load generator: who asks, and that a stall of the service is counted against everybody whom it delayed."""

from __future__ import annotations

import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator

import orjson
import pytest

from benchmarks.load.arrivals import AFTER_EVENT, CHANGED, EVENT, INLINE, STORED, Arrival, Population
from benchmarks.load.sending import send

USERS, ITEMS = [str(n) for n in range(500)], ["a", "b", "c"]
STALL = 0.3


@pytest.fixture
def slow_start() -> Iterator[str]:
    """A server that takes its time for the first request of a connection and refuses the path /no."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                threading.Thread(target=answer, args=(connection,), daemon=True).start()

        def answer(connection: socket.socket) -> None:
            first = True
            while received := connection.recv(65_536):
                if first:
                    time.sleep(STALL)
                first = False
                status = b"404 Not Found" if b" /no " in received else b"200 OK"
                connection.sendall(b"HTTP/1.1 " + status + b"\r\nContent-Length: 2\r\n\r\n{}")

        threading.Thread(target=serve, daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


def test_whoever_waited_for_a_stalled_service_is_counted_with_the_wait(slow_start):
    sent = send(slow_start, [Arrival(0.0, "one", "/", b""), Arrival(0.01, "two", "/", b"{}")], connections=1)
    assert sent.of("one")[0] >= STALL * 1_000
    assert sent.of("two")[0] >= (STALL - 0.01) * 1_000
    assert sent.behind >= STALL - 0.01
    assert not sent.failed


def test_refusals_are_counted_and_named(slow_start):
    sent = send(slow_start, [Arrival(0.0, "one", "/no", b"")], connections=1)
    assert sent.failed == {"one: 404": 1}


def test_a_fifth_comes_with_a_changed_context_and_events_go_ahead_of_those_who_show_them():
    mix = Population(USERS, ITEMS).mix(rate=1_000, seconds=4)
    kinds = Counter(arrival.kind for arrival in mix)
    asked = kinds[STORED] + sum(kinds[kind] for kind in CHANGED)
    assert asked == 4_000
    assert sum(kinds[kind] for kind in CHANGED) / asked == pytest.approx(0.2, abs=0.03)
    assert kinds[EVENT] == kinds[AFTER_EVENT]
    assert [arrival.at for arrival in mix] == sorted(arrival.at for arrival in mix)
    told = {orjson.loads(a.body)["events"][0]["user_id"]: a.at for a in reversed(mix) if a.kind == EVENT}
    shown = {orjson.loads(a.body)["user_id"]: a.at for a in reversed(mix) if a.kind == AFTER_EVENT}
    assert all(told[user] < at for user, at in shown.items())
    assert all(len(orjson.loads(a.body)["context"]["history"]) == 3 for a in mix if a.kind == INLINE)


def test_users_are_drawn_by_zipfs_law_and_alike_for_one_seed():
    drawn = Population(USERS, ITEMS).users(50_000)
    assert drawn == Population(USERS, ITEMS).users(50_000)
    (_, first), (_, second) = Counter(drawn).most_common(2)
    assert first / second == pytest.approx(2, rel=0.15)
    assert set(drawn) <= set(USERS)
