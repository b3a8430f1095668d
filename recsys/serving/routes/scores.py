"""POST /v1/scores."""

from __future__ import annotations

from typing import Annotated

from fastapi import Body, FastAPI, Request, Response

from recsys.serving.answers.scoring import ScoresRequest, Scoring
from recsys.serving.http.documentation import documented
from recsys.serving.http.json_reply import Json
from recsys.serving.http.middleware import request_id
from recsys.serving.messages import more_examples as examples
from recsys.serving.messages.more_replies import ScoresReply


def add_scores(app: FastAPI, scoring: Scoring) -> None:
    """Adds the route."""

    @app.post(
        "/v1/scores",
        response_model=ScoresReply,
        responses=documented(examples.SCORES_REPLY, 422, 503),
        summary="Scores of given items for one or many users",
    )
    def scores(
        request: Request,
        body: Annotated[ScoresRequest, Body(openapi_examples=examples.SCORES_REQUESTS)],
    ) -> Response:
        """All users are read at once and scored in one pass.

        Availability and filters play no part: what is asked for is scored. At most 100 users, 10,000 candidates each
        and 100,000 scores in all.
        """
        return Json(scoring.answer(body, request_id(request.scope)))
