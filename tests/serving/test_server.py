"""The server takes its port first, says when it answers, drains on SIGTERM and refuses what would expose it."""

import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from contextlib import suppress

import httpx
import pytest

from recsys.errors import ConfigError
from recsys.serving.processes.server import run
from tests.serving.raw import connected, until_closed

PROGRAM = textwrap.dedent(
    """
    import time
    from contextlib import asynccontextmanager
    from fastapi import FastAPI
    from recsys.serving.edge.admission import Admission
    from recsys.serving.processes.connections import BoundedConnection
    from recsys.serving.edge.draining import Draining
    from recsys.serving.processes.server import run

    draining = Draining(1.0)

    @asynccontextmanager
    async def lifespan(app):
        with draining:
            yield

    app = FastAPI(lifespan=lifespan)
    app.add_middleware(
        Admission, draining=draining, most=5, refused=lambda code: None, under_way=lambda change: None
    )
    BoundedConnection.head_seconds = 0.3

    @app.get("/readyz")
    def ready() -> str:
        return "ready"

    @app.get("/slow")
    def slow() -> str:
        time.sleep(0.7)
        return "done"

    def say(listening):
        print(listening.url, flush=True)

    run(lambda: app, port=0, on_ready=say)
    """
)


def never():
    raise AssertionError("must not be built")


@pytest.fixture
def server():
    process = subprocess.Popen([sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    yield process, process.stdout.readline().strip()
    process.kill()
    process.wait()
    process.stdout.close()


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.7", "::", "example.org"])
def test_an_address_that_others_can_reach_is_refused_without_the_flag(host):
    with pytest.raises(ConfigError, match="--without-auth"):
        run(never, host=host, on_ready=print)


def test_a_taken_port_is_known_before_anything_is_loaded():
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(ConfigError, match=f"Port {port} .* is taken"):
            run(never, port=port, on_ready=print)


def test_an_address_of_another_machine_says_so():
    with pytest.raises(ConfigError, match="Cannot listen on"):
        run(never, host="203.0.113.1", allow_remote=True, on_ready=print)


@pytest.mark.slow
def test_it_says_its_address_once_it_answers_and_only_listens_on_loopback(server):
    _, url = server
    assert url.startswith("http://127.0.0.1:")
    assert httpx.get(f"{url}/slow").json() == "done"


@pytest.mark.slow
@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_finishes_the_request_under_way_and_ends_with_code_0(server, stop):
    process, url = server
    script = f"import httpx; print(httpx.get('{url}/slow', timeout=5).json(), flush=True)"
    asking = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 5
    while not _connected(url) and time.monotonic() < deadline:
        time.sleep(0.01)
    os.kill(process.pid, stop)
    assert process.wait(10) == 0
    answer, _ = asking.communicate(timeout=10)
    assert answer.strip() == "done"


@pytest.mark.slow
def test_told_to_leave_it_says_so_first_and_takes_no_new_callers_afterwards(server):
    process, url = server
    assert httpx.get(f"{url}/readyz").status_code == 200
    os.kill(process.pid, signal.SIGTERM)
    told = list(_asked_until_gone(f"{url}/readyz"))
    assert told[-1].status_code == 503
    assert told[-1].json()["code"] == "draining"
    assert process.wait(10) == 0


@pytest.mark.slow
def test_a_second_signal_ends_the_notice(server):
    process, url = server
    os.kill(process.pid, signal.SIGTERM)
    while httpx.get(f"{url}/readyz").status_code == 200:
        pass
    os.kill(process.pid, signal.SIGTERM)
    assert process.wait(10) == 0


def _asked_until_gone(url):
    with suppress(httpx.TransportError):
        while True:
            yield httpx.get(url)


def _answer(url, *parts):
    """What the server says to these bytes, until it closes the connection."""
    with connected(url) as connection:
        for part in parts:
            connection.sendall(part)
        return until_closed(connection)


@pytest.mark.slow
@pytest.mark.parametrize("sent", [b"", b"GET /readyz HTTP/1.1\r\nHost: x\r\n"])
def test_a_connection_that_never_completes_a_request_is_closed(server, sent):
    _, url = server
    assert _answer(url, sent) == b""


@pytest.mark.slow
def test_line_breaks_after_a_request_do_not_hold_a_connection(server):
    _, url = server
    with connected(url) as connection:
        connection.sendall(b"GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert connection.recv(65536).startswith(b"HTTP/1.1 200")
        connection.sendall(b"\r\n")
        assert until_closed(connection) in (b"", b'"ready"')


@pytest.mark.slow
def test_a_slow_answer_is_not_taken_for_a_slow_caller(server):
    _, url = server
    with httpx.Client() as client:
        assert [client.get(f"{url}/slow").json() for _ in range(2)] == ["done", "done"]


def _connected(url):
    port = f":{int(url.rsplit(':', 1)[1]):04X}"
    with open("/proc/net/tcp") as table:
        rows = [line.split() for line in table][1:]
    return any(row[1].endswith(port) and row[3] == "01" for row in rows)
