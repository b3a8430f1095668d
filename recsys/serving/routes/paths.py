"""Ids in paths. A slash in an id is written %2F; servers decode it before they route, so it is taken as it comes."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path
from starlette.convertors import Convertor, register_url_convertor

_PATTERN = r"^[^\x00]*$"


class AnyId(Convertor[str]):
    """`{name:id}` in a route: everything that stands there, slashes and line breaks included.

    Starlette's own `path` ends at a line break, and would take the id before one for the whole.
    """

    regex = "(?s:.*)"

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


register_url_convertor("id", AnyId())

ItemId = Annotated[
    str, Path(min_length=1, max_length=256, pattern=_PATTERN, description="An item's id.", examples=["50"])
]
UserId = Annotated[
    str, Path(min_length=1, max_length=256, pattern=_PATTERN, description="A user's id.", examples=["196"])
]
