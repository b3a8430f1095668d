"""How replies are written: by orjson, from the models that describe them."""

from __future__ import annotations

from collections.abc import Mapping

import orjson
from fastapi import Response
from pydantic import BaseModel

from recsys.serving.messages.replies import Degraded

DEGRADED_HEADER = "X-Degraded"


def degraded_header(degraded: Degraded | None) -> Mapping[str, str] | None:
    """Says whether a reply is degraded, for proxies and counters; whatever the reply's own form is."""
    return None if degraded is None else {DEGRADED_HEADER: degraded.reason}


class Json(Response):
    """A reply serialised by orjson, with the header of a degraded one."""

    media_type = "application/json"

    def __init__(self, content: BaseModel) -> None:
        super().__init__(content, headers=degraded_header(getattr(content, "degraded", None)))

    def render(self, content: BaseModel) -> bytes:
        return orjson.dumps(content.model_dump())
