"""How replies are written: by orjson, from the models that describe them."""

from __future__ import annotations

import orjson
from fastapi import Response
from pydantic import BaseModel

DEGRADED_HEADER = "X-Degraded"


class Json(Response):
    """A reply serialised by orjson; its header says whether it is degraded, for proxies and counters."""

    media_type = "application/json"

    def __init__(self, content: BaseModel) -> None:
        degraded = getattr(content, "degraded", None)
        super().__init__(content, headers=None if degraded is None else {DEGRADED_HEADER: degraded.reason})

    def render(self, content: BaseModel) -> bytes:
        return orjson.dumps(content.model_dump())
