"""What comes over a bare connection: whatever it is, one clear answer and bounded memory."""

import subprocess
import sys
import textwrap
import time

import orjson
import pytest

from recsys.serving.http.problems import Problem
from recsys.serving.processes.connections import MAX_HEAD_BYTES
from tests.serving.raw import connected, until_closed

PROGRAM = textwrap.dedent(
    """
    import resource
    from fastapi import FastAPI, Request, Response
    from recsys.serving.processes.connections import BoundedConnection
    from recsys.serving.processes.server import run

    BoundedConnection.send_seconds = 2.0
    app = FastAPI()
    told = []

    class Noting:
        def __init__(self, app):
            self.app = app

        async def __call__(self, scope, receive, send):
            told.append(("begun", scope.get("path")))
            try:
                await self.app(scope, receive, send)
            finally:
                told.append(("ended", scope.get("path")))

    app.add_middleware(Noting)

    @app.get("/told")
    async def requests() -> list[tuple[str, str | None]]:
        return told

    @app.get("/much")
    async def much() -> Response:
        return Response(b"x" * 8_000_000)

    @app.get("/held")
    def held() -> int:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

    @app.post("/read")
    async def read(request: Request) -> int:
        return len(await request.body()) + 1000 * ("x-late" in request.headers)

    run(lambda: app, port=0, on_ready=lambda listening: print(listening.url, flush=True))
    """
)
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def url():
    process = subprocess.Popen([sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    yield process.stdout.readline().strip()
    process.kill()
    process.wait()
    process.stdout.close()


def answer(url, *parts):
    """Status and body of the one answer to these bytes, after which the connection is closed."""
    with connected(url) as connection:
        for part in parts:
            try:
                connection.sendall(part)
            except OSError:  # it was refused meanwhile
                break
        head, _, body = until_closed(connection).partition(b"\r\n\r\n")
    return int(head.split()[1]), body


def problem(url, *parts):
    status, body = answer(url, *parts)
    found = Problem.model_validate(orjson.loads(body))  # one document, and nothing after it
    assert found.status == status
    return found


def head(*lines):
    return b"\r\n".join((*lines, b"Host: x", b"Connection: close", b"", b""))


@pytest.mark.parametrize(
    "parts",
    [
        (b"GET /" + b"x" * MAX_HEAD_BYTES + b" HTTP/1.1\r\nHost: x\r\n\r\n",),
        (b"GET /held?" + b"x" * MAX_HEAD_BYTES + b" HTTP/1.1\r\nHost: x\r\n\r\n",),
        (head(b"GET /held HTTP/1.1", b"X-Long: " + b"x" * MAX_HEAD_BYTES),),
        (head(b"GET /held HTTP/1.1", *(b"X-%d: %s" % (n, b"x" * 100) for n in range(1_000))),),
        (b"GET /held HTTP/1.1\r\nX-Long: ", *[b"x" * 10_000] * 2_000),
        (b"GET /held HTTP/1.1\r\n", *[b"X-Many: 1\r\n" * 1_000] * 2_000),
        (b"GET /", *[b"x" * 10_000] * 2_000),
        (b"\r\n" * 100_000,),
    ],
)
def test_a_head_that_is_too_large_is_refused_once_and_clearly(url, parts):
    found = problem(url, *parts)
    assert (found.status, found.code) == (431, "request_header_fields_too_large")
    assert str(MAX_HEAD_BYTES) in found.detail


def test_a_head_just_below_the_bound_is_read(url):
    assert answer(url, head(b"GET /held HTTP/1.1", b"X-Long: " + b"x" * (MAX_HEAD_BYTES - 200)))[0] == 200


@pytest.mark.parametrize(
    "sent",
    [
        b"nonsense\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /held HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"POST /read HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        b"POST /read HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ],
)
def test_what_is_no_request_is_refused_with_a_problem_document(url, sent):
    found = problem(url, sent)
    assert (found.status, found.code) == (400, "bad_request")


UPGRADE = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n"


@pytest.mark.parametrize(
    "body", [b"Content-Length: 2\r\n\r\nab", b"Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n"]
)
def test_a_body_that_comes_with_another_protocol_on_offer_is_not_lost_in_silence(url, body):
    """As Java's client sends its first request on a connection without TLS."""
    found = problem(url, b"POST /read HTTP/1.1\r\nHost: x\r\n" + UPGRADE + body)
    assert (found.status, found.code) == (400, "bad_request")
    assert "header Upgrade" in found.detail


def test_another_protocol_on_offer_is_ignored_and_the_connection_goes_on(url):
    ask = b"GET /held HTTP/1.1\r\nHost: x\r\n"
    with connected(url) as connection:
        connection.sendall(ask + UPGRADE + b"\r\n")
        first = connection.recv(65536)
        connection.sendall(ask + b"Connection: close\r\n\r\n")
        assert (first + until_closed(connection)).count(b"HTTP/1.1 200 OK") == 2


CHUNKED = b"POST /read HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"


def test_trailers_are_bounded_and_no_headers(url):
    assert problem(url, CHUNKED + b"2\r\nab\r\n0\r\n", *[b"X-Late: 1\r\n" * 1_000] * 100).status == 431
    late = CHUNKED.replace(b"Host: x", b"Host: x\r\nConnection: close") + b"2\r\nab\r\n0\r\nX-Late: 1\r\n\r\n"
    assert answer(url, late) == (200, b"2")


def test_after_all_this_it_has_not_grown(url):
    before = int(answer(url, head(b"GET /held HTTP/1.1"))[1])
    for _ in range(5):
        answer(url, b"GET /held HTTP/1.1\r\nX-Long: ", *[b"x" * 100_000] * 300)
        answer(url, CHUNKED + b"0\r\n", *[b"X-Late: 1\r\n" * 10_000] * 200)
    assert int(answer(url, head(b"GET /held HTTP/1.1"))[1]) - before < 16 * 1024 * 1024


def test_whoever_does_not_take_a_reply_holds_neither_it_nor_a_place(url):
    ask = b"GET /much HTTP/1.1\r\nHost: x\r\n\r\n"
    with connected(url) as connection:
        connection.sendall(ask + ask)
        told, deadline = [], time.monotonic() + 60
        while told.count(["ended", "/much"]) < 2 and time.monotonic() < deadline:
            told = orjson.loads(answer(url, head(b"GET /told HTTP/1.1"))[1])
        assert told.count(["begun", "/much"]) == 2
        assert len(until_closed(connection)) < 8_000_000


def test_whoever_takes_a_reply_gets_all_of_it(url):
    assert len(answer(url, head(b"GET /much HTTP/1.1"))[1]) == 8_000_000
