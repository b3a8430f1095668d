"""Parses bodies, as UTF-8 and nothing else, and judges large ones in a thread, one at a time a route.

Meanwhile the event loop answers others. Small ones are judged by FastAPI: a change of threads costs more than they do.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine
from typing import Any

from anyio import CapacityLimiter, to_thread
from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

LARGE_BYTES = 64 * 1024
_ENCODING = "The body is not in UTF-8; JSON is sent in no other encoding."
Handle = Callable[[Request], Coroutine[Any, Any, Response]]


class _UnfitError(HTTPException):
    """Carries what is wrong with a body past FastAPI, which would take any other error for broken JSON."""

    def __init__(self, errors: list[dict[str, Any]]) -> None:
        super().__init__(422)
        self.errors = errors


def parsed_beside_the_loop(handle: Handle, field: Any) -> Handle:
    """A route's handler that finds large bodies parsed, and made into what the route takes.

    Args:
        handle: FastAPI's handler.
        field: FastAPI's description of the route's body.
    """
    turns = CapacityLimiter(1)

    class Parsed(Request):
        async def json(self) -> Any:
            text = await self.body()
            if len(text) < LARGE_BYTES:
                return _parsed(text)
            value, errors = await to_thread.run_sync(_judged, text, field, limiter=turns)
            if errors:
                raise _UnfitError(errors)
            return value

    async def handle_parsed(request: Request) -> Response:
        try:
            return await handle(Parsed(request.scope, request.receive))
        except _UnfitError as error:
            raise RequestValidationError(error.errors) from None

    return handle_parsed


def _judged(text: bytes, field: Any) -> tuple[Any, list[dict[str, Any]]]:
    """What the route takes, or what is wrong; the errors keep nothing of what was sent."""
    value, errors = field.validate(_parsed(text), {}, loc=("body",))
    return value, [{**error, "input": None} for error in errors]


def _parsed(text: bytes) -> Any:
    """JSON in UTF-8 alone: left to itself the parser takes UTF-16 and UTF-32, whose depth nobody has measured.

    Raises:
        HTTPException: 400, the body is in another encoding.
        json.JSONDecodeError: it is no JSON.
    """
    try:
        if b"\x00" in text:  # each ASCII character of the other encodings has some; JSON has none
            raise HTTPException(400, _ENCODING)
        return json.loads(text.decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise HTTPException(400, _ENCODING) from None
