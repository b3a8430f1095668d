"""Leaves places for others: no key has more than a part of all requests that are answered at a time.

Who lets many bodies trickle in holds a place for each of them, and nobody else would come in.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from starlette.types import ASGIApp, Receive, Scope, Send

from recsys.serving.edge.access import key_name
from recsys.serving.edge.admission import ALWAYS
from recsys.serving.http.problems import refusal


class Shares:
    """Answers 429 when one key has three quarters of the places; stands inside of what asks for keys.

    Args:
        app: what is protected.
        most: how many requests may be under way, of everybody together.
        refused: told the problem's code of each refusal.
    """

    def __init__(self, app: ASGIApp, most: int, refused: Callable[[str], None]) -> None:
        self.app = app
        self._most = max(most * 3 // 4, 1)
        self._refused = refused
        self._under_way: Counter[str] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        holder = key_name(scope) if scope["type"] == "http" and scope["path"] not in ALWAYS else None
        if holder is None:
            await self.app(scope, receive, send)
        elif self._under_way[holder] >= self._most:
            self._refused("too_many_requests")
            detail = f"{self._most} requests of this key are under way already. Try again in a moment."
            await refusal(scope, 429, "too_many_requests", detail, {"Retry-After": "1"})(scope, receive, send)
        else:
            await self._counted(holder, scope, receive, send)

    async def _counted(self, holder: str, scope: Scope, receive: Receive, send: Send) -> None:
        self._under_way[holder] += 1
        try:
            await self.app(scope, receive, send)
        finally:
            self._under_way[holder] -= 1
            if not self._under_way[holder]:
                del self._under_way[holder]
