"""Watches every request from outside: counts it, times it and, when asked to, logs it."""

from __future__ import annotations

import logging
import time

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from recsys.serving.edge.access import key_name
from recsys.serving.edge.metrics import Meters
from recsys.serving.edge.scopes import route_of
from recsys.serving.http.json_reply import DEGRADED_HEADER

_GONE = 499  # the caller left before there was a reply; nginx's number for it
_log = logging.getLogger("recsys.access")


class Observing:
    """Counts replies by route, status and degradation.

    The log names the route, never the path: a path may hold a user's id.

    Args:
        app: what is watched.
        meters: what counts.
        access_log: whether each request is logged as well.
    """

    def __init__(self, app: ASGIApp, meters: Meters, access_log: bool) -> None:
        self.app = app
        self._meters = meters
        self._access_log = access_log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = time.perf_counter()
        status, degraded = _GONE, None

        async def send_watched(message: Message) -> None:
            nonlocal status, degraded
            if message["type"] == "http.response.start":
                status = message["status"]
                degraded = Headers(raw=message["headers"]).get(DEGRADED_HEADER)
            await send(message)

        try:
            await self.app(scope, receive, send_watched)
        except Exception:
            status = 500
            raise
        finally:
            self._note(scope, status, time.perf_counter() - started, degraded)

    def _note(self, scope: Scope, status: int, seconds: float, degraded: str | None) -> None:
        route, method = route_of(scope), scope["method"]
        self._meters.answered(route, method, status, seconds, degraded)
        if self._access_log:
            told = {"method": method, "route": route, "status": status, "milliseconds": round(seconds * 1000, 2)}
            told |= {"key": key_name(scope), "degraded": degraded}
            _log.info("request", extra=told)
