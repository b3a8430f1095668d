"""How many requests are answered at a time, and who is told that the service is leaving."""

from __future__ import annotations

from collections.abc import Callable

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from recsys.serving.edge.draining import Draining
from recsys.serving.http.problems import refusal

MAX_IN_FLIGHT = 128
_READY = "/readyz"
ALWAYS = ("/healthz", _READY, "/metrics")
"""Answered however much is under way, for whoever supervises the process."""


class Admission:
    """Answers 503 above a number of requests under way, instead of letting them wait without end.

    While the service drains, /readyz is a 503 as well and connections are closed after their reply.

    Args:
        app: what is protected.
        draining: whether the service is leaving.
        most: how many requests may be under way.
        refused: told the problem's code of each refusal.
        under_way: told 1 when a request comes in and -1 when it has gone.
    """

    def __init__(
        self,
        app: ASGIApp,
        draining: Draining,
        most: int,
        refused: Callable[[str], None],
        under_way: Callable[[int], None],
    ) -> None:
        self.app = app
        self._draining = draining
        self._most = most
        self._refused = refused
        self._tell = under_way
        self._under_way = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
        elif self._draining.begun:
            await self._last(scope, receive, send)
        elif scope["path"] in ALWAYS:
            await self.app(scope, receive, send)
        else:
            await self._counted(scope, receive, send)

    async def _counted(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._under_way >= self._most:
            self._refused("overloaded")
            detail = f"{self._most} requests are under way already. Try again in a moment."
            await refusal(scope, 503, "overloaded", detail, {"Retry-After": "1"})(scope, receive, send)
            return
        self._under_way += 1
        self._tell(1)
        try:
            await self.app(scope, receive, send)
        finally:
            self._under_way -= 1
            self._tell(-1)

    async def _last(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_last(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)["Connection"] = "close"
            await send(message)

        if scope["path"] == _READY:
            detail = "The service is leaving; ask another one."
            await refusal(scope, 503, "draining", detail, {"Retry-After": "5"})(scope, receive, send_last)
        else:
            await self._counted(scope, receive, send_last)
