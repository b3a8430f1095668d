"""How replies are written: by orjson, from the models that describe them."""

from __future__ import annotations

import orjson
from fastapi import Response
from pydantic import BaseModel


class Json(Response):
    """A reply serialised by orjson."""

    media_type = "application/json"

    def render(self, content: BaseModel) -> bytes:
        return orjson.dumps(content.model_dump())
