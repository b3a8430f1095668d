"""Ids in paths, read from the path as it was sent: `%2F` belongs to an id, a plain slash never does.

Servers decode a path before they hand it on; what is left does not tell the two apart, and no longer whether the id was
UTF-8 at all.
"""

from __future__ import annotations

import re
from typing import Annotated
from urllib.parse import quote, unquote_to_bytes

from fastapi import Path
from pydantic import BeforeValidator
from starlette.convertors import Convertor, register_url_convertor
from starlette.types import Scope

_PATTERN = r"^[^\x00]*$"
_UNREADABLE = "\ud800"
"""Stands for an id that cannot be read; no text in UTF-8 is equal to it."""
_BROKEN_ESCAPE = re.compile("%(?![0-9A-Fa-f]{2})")


def as_sent(scope: Scope) -> Scope:
    """The request with its path as it was sent, nothing decoded."""
    raw: bytes | None = scope.get("raw_path")
    return {**scope, "path": raw.decode("ascii", "surrogateescape") if raw else quote(scope["path"])}


class IdAsSent(Convertor[str]):
    """`{name:id}` in a route that is matched against the path as it was sent: everything up to the next slash."""

    regex = "[^/]*"

    def convert(self, value: str) -> str:
        if _BROKEN_ESCAPE.search(value):
            return _UNREADABLE
        try:
            return unquote_to_bytes(value).decode()
        except UnicodeError:
            return _UNREADABLE

    def to_string(self, value: str) -> str:
        return quote(value, safe="")


register_url_convertor("id", IdAsSent())


def _readable(value: object) -> object:
    if value == _UNREADABLE:
        raise ValueError("this id is not percent-encoded UTF-8: write each byte of it as % and two hexadecimal digits")
    return value


ItemId = Annotated[
    str,
    BeforeValidator(_readable),
    Path(min_length=1, max_length=256, pattern=_PATTERN, description="An item's id.", examples=["50"]),
]
UserId = Annotated[
    str,
    BeforeValidator(_readable),
    Path(min_length=1, max_length=256, pattern=_PATTERN, description="A user's id.", examples=["196"]),
]
