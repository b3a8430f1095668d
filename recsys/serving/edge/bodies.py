"""Bounds how deep a body nests, how many parts it has and how long it takes to arrive, before anything parses it."""

from __future__ import annotations

import asyncio

import numpy as np
from anyio import to_thread
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from recsys.serving.http.large_bodies import LARGE_BYTES

MAX_DEPTH = 32
MAX_PARTS = 200_000
"""Arrays and objects together: twice what the largest request that can be answered has. Each costs memory and time."""
BODY_SECONDS = 15.0

_BLOCK = 64 * 1024
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


def _measured(characters: np.ndarray) -> int:
    """Block by block, so that a large body costs no more memory than a block and stays in the processor's cache."""
    deepest = depth = inside = slashes = 0
    for start in range(0, len(characters), _BLOCK):
        block = characters[start : start + _BLOCK]
        escaped, slashes = _escaped(block == _BACKSLASH, slashes)
        texts = np.cumsum((block == _QUOTE) & ~escaped, dtype=np.uint8) + np.uint8(inside)  # only odd or even counts
        levels = depth + np.cumsum(_STEPS[block] * (texts % 2 == 0), dtype=np.int32)
        deepest, depth, inside = max(deepest, int(levels.max())), int(levels[-1]), int(texts[-1]) % 2
    return deepest


def _escaped(backslashes: np.ndarray, before: int) -> tuple[np.ndarray, int]:
    """Which characters of a block follow an odd run of backslashes, and whether the next block does.

    Args:
        backslashes: (length,) bool, where they are.
        before: 1 when the block itself follows an odd run, else 0.
    """
    if not backslashes.any():
        return np.arange(len(backslashes)) < before, 0
    places = np.arange(len(backslashes), dtype=np.int32)
    last_other = np.maximum.accumulate(np.where(backslashes, -1 - before, places))
    odd = (places - last_other) % 2 == 1  # the run that ends here, its part in the block before included
    return np.concatenate(([before == 1], odd[:-1])), int(odd[-1])


class BodyShape:
    """Refuses bodies that nest deeper than `MAX_DEPTH` or have more than `MAX_PARTS` (400), or take too long (408).

    Who leaves before the body is complete is not answered: nobody sent a wrong one.

    Stands inside the bound on a body's size, which bounds what is held here.
    """

    def __init__(self, app: ASGIApp, seconds: float) -> None:
        self.app = app
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        parts: list[bytes] = []
        complete = gone = False
        deadline = asyncio.get_running_loop().time() + self._seconds

        async def receive_bounded() -> Message:
            nonlocal complete, gone
            if complete:
                return await receive()
            message = await self._in_time(receive, deadline)
            if message["type"] == "http.disconnect":
                gone = True
                return message
            parts.append(message.get("body", b""))
            complete = not message.get("more_body", False)
            if complete:
                await self._judge(b"".join(parts))
            return message

        async def send_to_who_is_there(message: Message) -> None:
            if not gone:
                await send(message)

        await self.app(scope, receive_bounded, send_to_who_is_there)

    async def _judge(self, body: bytes) -> None:
        if body.count(b"[") + body.count(b"{") > MAX_PARTS:
            raise HTTPException(400, f"The body holds more than {MAX_PARTS} arrays and objects.")
        deepest = nesting(body) if len(body) < LARGE_BYTES else await to_thread.run_sync(nesting, body)
        if deepest > MAX_DEPTH:
            raise HTTPException(400, f"The body nests deeper than {MAX_DEPTH} levels.")

    async def _in_time(self, receive: Receive, deadline: float) -> Message:
        try:
            async with asyncio.timeout_at(deadline):
                return await receive()
        except TimeoutError:
            raise HTTPException(
                408, f"The body did not arrive within {self._seconds:g} s.", headers={"Connection": "close"}
            ) from None
