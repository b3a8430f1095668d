"""The server takes its port first, says when it answers, drains on SIGTERM and refuses what would expose it."""

import os
import signal
import socket
import subprocess
import sys
import textwrap
import time

import httpx
import pytest

from recsys.errors import ConfigError
from recsys.serving.server import is_loopback, run

PROGRAM = textwrap.dedent(
    """
    import sys, time
    from fastapi import FastAPI
    from recsys.serving.server import run

    app = FastAPI()

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
    with pytest.raises(ConfigError, match="--allow-remote"):
        run(never, host=host, on_ready=print)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_loopback_addresses_are_known(host):
    assert is_loopback(host)


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


def _connected(url):
    port = f":{int(url.rsplit(':', 1)[1]):04X}"
    with open("/proc/net/tcp") as table:
        rows = [line.split() for line in table][1:]
    return any(row[1].endswith(port) and row[3] == "01" for row in rows)
