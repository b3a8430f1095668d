"""Ids in paths. A slash in an id is written %2F; servers decode it before they route, so it is taken as it comes."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path

_PATTERN = r"^[^\x00]*$"

ItemId = Annotated[
    str, Path(min_length=1, max_length=256, pattern=_PATTERN, description="An item's id.", examples=["50"])
]
UserId = Annotated[
    str, Path(min_length=1, max_length=256, pattern=_PATTERN, description="A user's id.", examples=["196"])
]
