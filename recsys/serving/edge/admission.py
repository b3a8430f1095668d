"""How many requests are answered at a time, and who is told that the service is leaving."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from recsys.serving.edge.draining import Draining
from recsys.serving.http.problems import refusal

MAX_IN_FLIGHT = 128
_SHARE = 4
"""One part in so many of the requests under way may be events, and one may change or delete something."""
_EVENTS = "/v1/events"
_CHANGING = frozenset({"PUT", "DELETE"})
_READY = "/readyz"
ALWAYS = ("/healthz", _READY, "/metrics")
"""Answered however much is under way, for whoever supervises the process."""


class Admission:
    """Answers 503 above a number of requests under way, instead of letting them wait without end.

    Those that write wait for each other, sometimes for long: they have a share of it, so that questions are answered.
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
        self._share = max(most // _SHARE, 1)
        self._refused = refused
        self._tell = under_way
        self._under_way = 0
        self._writers: Counter[str] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        if self._draining.begun:
            send = _closing(send)
            if scope["path"] == _READY:
                detail = "The service is leaving; ask another one."
                await refusal(scope, 503, "draining", detail, {"Retry-After": "5"})(scope, receive, send)
                return
        await (self.app if scope["path"] in ALWAYS else self._counted)(scope, receive, send)

    async def _counted(self, scope: Scope, receive: Receive, send: Send) -> None:
        kind = _writing(scope)
        full = self._full(kind)
        if full is not None:
            self._refused("overloaded")
            detail = f"{full} are under way already. Try again in a moment."
            await refusal(scope, 503, "overloaded", detail, {"Retry-After": "1"})(scope, receive, send)
            return
        self._count(kind, 1)
        try:
            await self.app(scope, receive, send)
        finally:
            self._count(kind, -1)

    def _full(self, kind: str | None) -> str | None:
        """What there is so much of that no more comes in; None while more may."""
        if self._under_way >= self._most:
            return f"{self._most} requests"
        if kind is not None and self._writers[kind] >= self._share:
            return f"{self._share} {kind}"
        return None

    def _count(self, kind: str | None, change: int) -> None:
        self._under_way += change
        self._tell(change)
        if kind is not None:
            self._writers[kind] += change


def _closing(send: Send) -> Send:
    """Has the connection closed after the reply."""

    async def send_last(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message)["Connection"] = "close"
        await send(message)

    return send_last


def _writing(scope: Scope) -> str | None:
    """What a request writes, in the plural; None where it only asks."""
    if scope["path"] == _EVENTS:
        return "requests with events"
    return "changes" if scope["method"] in _CHANGING else None
