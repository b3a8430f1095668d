"""Bounds what one connection may hold before its request is known: uvicorn's fast protocol has no such bound itself.

h11, uvicorn's other protocol, bounds the size of a request's head and costs a multiple of time a request.
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Any, cast
from uuid import uuid4

import orjson
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from recsys.serving.http.middleware import REQUEST_ID_HEADER
from recsys.serving.http.problems import PROBLEM_JSON, Problem

MAX_HEAD_BYTES = 64 * 1024
HEAD_SECONDS = 10.0
SEND_SECONDS = 30.0
_LINGER_SECONDS = 2.0
_A_LINE = 4  # a colon, a space and the line's end
_BODY = frozenset({b"content-length", b"transfer-encoding"})

_Fault = tuple[HTTPStatus, str]
_MALFORMED: _Fault = (HTTPStatus.BAD_REQUEST, "This is no request of HTTP/1.1.")
_TOO_LARGE: _Fault = (
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
    f"Address and headers may have {MAX_HEAD_BYTES} bytes at most.",
)
_UPGRADE: _Fault = (
    HTTPStatus.BAD_REQUEST,
    "The service speaks HTTP/1.1 and nothing else: leave out the header Upgrade where a body comes along.",
)


class BoundedConnection(HttpToolsProtocol):
    """Ends a connection whose request's head or trailers grow too large, or whose head is not complete in time.

    So it does with a caller who does not take the reply in time: it would be held in memory, and what was asked next on
    the same connection would stay under way, for as long as somebody likes.

    What cannot be parsed and what is too large is answered with a problem document, then the connection is closed. It
    is read for a moment longer, into nothing: a caller who is still sending would not see the answer otherwise.
    """

    head_seconds = HEAD_SECONDS
    send_seconds = SEND_SECONDS

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._in_head = False
        self._unread_bytes = 0
        self._fault = _MALFORMED
        self._refused = False
        self._patience: asyncio.TimerHandle | None = None
        self._untaken: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(cast(asyncio.Transport, transport))
        self._be_patient(self.head_seconds)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        self._stop_waiting_for_the_reader()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._wait_for_the_reader()

    def resume_writing(self) -> None:
        super().resume_writing()
        if not self.transport.is_closing():
            self._stop_waiting_for_the_reader()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.transport.is_closing():
            self._wait_for_the_reader()

    def timeout_keep_alive_handler(self) -> None:
        """Whoever is idle so long has taken the reply, or never will; uvicorn calls it."""
        self.transport.abort()

    def data_received(self, data: bytes) -> None:
        if not self._refused:
            self._unread_bytes += len(data)
            super().data_received(data)
            self._keep_bounds()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head = True

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._in_head:  # trailers are nobody's
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._stop_waiting()
        self._in_head = False
        self._unread_bytes = 0
        if len(self.url) + sum(len(name) + len(value) + _A_LINE for name, value in self.headers) > MAX_HEAD_BYTES:
            self._fault = _TOO_LARGE
            raise ValueError("the head is too large")  # which stops the parser
        if self.parser.should_upgrade() and not _BODY.isdisjoint(name for name, _ in self.headers):
            self._fault = _UPGRADE
            raise ValueError("the parser would take the body for another protocol")
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._unread_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._unread_bytes = 0
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """Answers what the parser gave up; uvicorn calls it."""
        self._refuse(self._fault)

    def _keep_bounds(self) -> None:
        if self._refused or self.transport.is_closing():
            return
        if self._unread_bytes > MAX_HEAD_BYTES:
            self._refuse(_TOO_LARGE)
        elif self._patience is None and (self._in_head or self._is_idle()):
            self._be_patient(self.head_seconds)

    def _refuse(self, fault: _Fault) -> None:
        self._refused = True
        if self._is_idle() or not self.cycle.response_started:
            self.transport.write(_refusal(*fault))
        if self.cycle is not None:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        self.transport.write_eof()
        self._stop_waiting()
        self._be_patient(_LINGER_SECONDS)

    def _is_idle(self) -> bool:
        """Between requests. Bytes that begin none, such as line breaks, may not hold a connection either."""
        return self.cycle is None or self.cycle.response_complete  # type: ignore[redundant-expr]

    def _be_patient(self, seconds: float) -> None:
        self._patience = self.loop.call_later(seconds, self.transport.close)

    def _stop_waiting(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def _wait_for_the_reader(self) -> None:
        if self._untaken is None:
            self._untaken = self.loop.call_later(self.send_seconds, self.transport.abort)

    def _stop_waiting_for_the_reader(self) -> None:
        if self._untaken is not None:
            self._untaken.cancel()
            self._untaken = None


def _refusal(status: HTTPStatus, detail: str) -> bytes:
    known = uuid4().hex
    problem = Problem(title=status.phrase, status=status, detail=detail, code=status.name.lower(), request_id=known)
    body = orjson.dumps(problem.model_dump())
    head = (
        f"HTTP/1.1 {status.value} {status.phrase}\r\ncontent-type: {PROBLEM_JSON}\r\ncontent-length: {len(body)}\r\n"
        f"{REQUEST_ID_HEADER.lower()}: {known}\r\nconnection: close\r\n\r\n"
    )
    return head.encode() + body
