"""Bounds how deep a body may nest and how long it may take to arrive, before anything parses it."""

from __future__ import annotations

import asyncio

import numpy as np
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_DEPTH = 32
BODY_SECONDS = 15.0

_STEPS = np.zeros(256, dtype=np.int8)
_STEPS[list(b"[{")] = 1
_STEPS[list(b"]}")] = -1
_QUOTE, _BACKSLASH = ord('"'), ord("\\")


def nesting(text: bytes) -> int:
    """How deep JSON nests, in one pass and without parsing it: what is inside texts does not count.

    Args:
        text: JSON, or anything else.

    Returns:
        The greatest number of arrays and objects around anything; an upper bound where that is small anyway.
    """
    openings = text.count(b"[") + text.count(b"{")
    return openings if openings <= MAX_DEPTH else _measured(np.frombuffer(text, dtype=np.uint8))


def _measured(characters: np.ndarray[tuple[int], np.dtype[np.uint8]]) -> int:
    quotes = (characters == _QUOTE) & ~_escaped(characters == _BACKSLASH)
    outside = np.cumsum(quotes, dtype=np.int32) % 2 == 0
    return int(np.cumsum(_STEPS[characters] * outside, dtype=np.int32).max())


def _escaped(backslashes: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Which characters follow an odd run of backslashes."""
    places = np.arange(len(backslashes), dtype=np.int32)
    last_other = np.maximum.accumulate(np.where(backslashes, -1, places))
    run = places - last_other  # length of the run of backslashes that ends here, 0 where there is none
    return np.concatenate(([False], run[:-1] % 2 == 1))


class BodyShape:
    """Refuses bodies that nest deeper than `MAX_DEPTH` (400) or take longer than `seconds` to arrive (408).

    Stands inside the bound on a body's size, which bounds what is held here.
    """

    def __init__(self, app: ASGIApp, seconds: float = BODY_SECONDS) -> None:
        self.app = app
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        parts: list[bytes] = []
        complete = False
        deadline = asyncio.get_running_loop().time() + self._seconds

        async def receive_bounded() -> Message:
            nonlocal complete
            if complete:
                return await receive()
            message = await self._in_time(receive, deadline)
            parts.append(message.get("body", b""))
            complete = not message.get("more_body", False)
            if complete and nesting(b"".join(parts)) > MAX_DEPTH:
                raise HTTPException(400, f"The body nests deeper than {MAX_DEPTH} levels.")
            return message

        await self.app(scope, receive_bounded, send)

    async def _in_time(self, receive: Receive, deadline: float) -> Message:
        try:
            async with asyncio.timeout_at(deadline):
                return await receive()
        except TimeoutError:
            raise HTTPException(
                408, f"The body did not arrive within {self._seconds:g} s.", headers={"Connection": "close"}
            ) from None
