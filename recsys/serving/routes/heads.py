"""POST /v1/heads."""

from __future__ import annotations

import re
from typing import Annotated

from fastapi import Body, FastAPI, Header, Request, Response

from recsys.serving.answers.heads import SAFETENSORS, Heads, HeadsRequest
from recsys.serving.http.documentation import documented
from recsys.serving.http.json_reply import Json, degraded_header
from recsys.serving.http.middleware import request_id
from recsys.serving.messages import more_examples as examples
from recsys.serving.messages.more_replies import HeadsReply

_FILE = {
    "type": "string",
    "format": "binary",
    "description": "A safetensors file: float32 tensors under the names of the JSON reply's `tensors`, without those "
    "that are null there; in the metadata every other field of that reply, each value as JSON text.",
}
_NEVER = re.compile(r"q=0(\.0*)?")


def add_heads(app: FastAPI, heads: Heads) -> None:
    """Adds the route."""
    responses = documented(examples.HEADS_REPLY, 422, 503)
    responses[200]["content"][SAFETENSORS] = {"schema": _FILE}

    @app.post("/v1/heads", response_model=HeadsReply, responses=responses, summary="The head weights of a context")
    def head(
        request: Request,
        body: Annotated[HeadsRequest, Body(openapi_examples=examples.HEADS_REQUESTS)],
        accept: Annotated[str, Header(include_in_schema=False)] = "",
    ) -> Response:
        """The head, and for each candidate what the head is applied to: with them scores are made elsewhere.

        JSON, or safetensors where `Accept` names application/vnd.safetensors: the same tensors, and everything else in
        the file's metadata, each value as JSON text.
        """
        handed_out = heads.hand_out(body, request_id(request.scope))
        if _wants_safetensors(accept):
            headers = degraded_header(handed_out.degraded)
            return Response(handed_out.as_safetensors(), headers=headers, media_type=SAFETENSORS)
        return Json(handed_out.as_reply())


def _wants_safetensors(accept: str) -> bool:
    for part in accept.lower().split(","):
        kind, *parameters = (piece.replace(" ", "") for piece in part.split(";"))
        if kind == SAFETENSORS and not any(_NEVER.fullmatch(parameter) for parameter in parameters):
            return True
    return False
