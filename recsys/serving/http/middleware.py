"""What happens to every request before it is understood: it gets an id, and a bound on its size."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping, MutableMapping
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from recsys.data.ids import REQUEST_ID_FORM
from recsys.serving.http.logs import CURRENT_REQUEST

MAX_HELD_BYTES = 64 * 1024 * 1024
REQUEST_ID_HEADER = "X-Request-ID"
_STATE_KEY = "request_id"
_SAFE_ID = re.compile(REQUEST_ID_FORM)


def request_id(scope: MutableMapping[str, Any]) -> str:
    """The id of this request; made on first use, so that an early failure has one as well."""
    state = scope.setdefault("state", {})
    return str(state.setdefault(_STATE_KEY, uuid.uuid4().hex))


class RequestIds:
    """Takes the caller's X-Request-ID when it is harmless, else makes one; hands it on and sends it back, once.

    Args:
        app: what comes after.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = MutableHeaders(scope=scope)
        offered = headers.get(REQUEST_ID_HEADER, "")
        if _SAFE_ID.fullmatch(offered):
            scope.setdefault("state", {})[_STATE_KEY] = offered
        known = request_id(scope)
        headers[REQUEST_ID_HEADER] = known
        CURRENT_REQUEST.set(known)

        async def send_named(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)[REQUEST_ID_HEADER] = known
            await send(message)

        await self.app(scope, receive, send_named)


class BodyLimit:
    """Refuses bodies above a number of bytes, announced or not, before they are held in memory.

    Args:
        app: what comes after.
        max_bytes: of a body.
        larger: of bodies to these paths.
        max_held: of all bodies under way together; more are told to come back (503).
    """

    def __init__(
        self, app: ASGIApp, max_bytes: int, larger: Mapping[str, int] | None = None, max_held: int = MAX_HELD_BYTES
    ) -> None:
        self.app = app
        self.max_bytes = max_bytes
        self.larger = dict(larger or {})
        self.max_held = max_held
        self._held = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        announced = Headers(scope=scope).get("content-length", "")
        limit, received = self.larger.get(scope["path"], self.max_bytes), 0

        async def receive_bounded() -> Message:
            nonlocal received
            if announced.isdecimal() and int(announced) > limit:
                raise _too_large(limit)
            message = await receive()
            size = len(message.get("body", b""))
            received += size
            self._held += size
            if received > limit:
                raise _too_large(limit)
            if self._held > self.max_held:
                detail = "Large bodies are under way already. Try again in a moment."
                raise HTTPException(503, detail, headers={"Retry-After": "1"})
            return message

        try:
            await self.app(scope, receive_bounded, send)
        finally:
            self._held -= received


def _too_large(limit: int) -> HTTPException:
    return HTTPException(413, f"The body may have {limit} bytes at most. Send fewer events, items or users at a time.")
