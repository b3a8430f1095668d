"""How routes describe themselves in the OpenAPI document: replies with an example, errors as problem documents."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from recsys.serving.http.problems import PROBLEM_JSON, Problem
from recsys.serving.messages import examples

_PROBLEM_REF = "#/components/schemas/Problem"
_MEANINGS = {
    400: "The body is not JSON.",
    404: "There is no such item, or the model does not know it.",
    413: "The body is too large.",
    415: "The body is not declared as JSON.",
    422: "A field cannot be used; `errors` names it.",
    503: "There is no champion yet, or what is stored cannot be changed now; try again later.",
}

Responses = dict[int | str, dict[str, Any]]


def documented(reply: dict[str, Any], *problems: int) -> Responses:
    """What a route's `responses` holds: the example of its 200, and the problems it can end with."""
    responses: Responses = {200: {"content": {"application/json": {"example": reply}}}}
    for status in problems:
        example = examples.NO_CHAMPION if status == 503 else examples.PROBLEM if status == 422 else None
        content: dict[str, Any] = {"schema": {"$ref": _PROBLEM_REF}}
        if example is not None:
            content["example"] = example
        responses[status] = {"description": _MEANINGS[status], "content": {PROBLEM_JSON: content}}
    return responses


def describe(app: FastAPI) -> None:
    """Makes the app's OpenAPI document hold the schema of problem documents, which no route returns by type."""

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            made = get_openapi(
                title=app.title,
                version=app.version,
                description=app.description,
                routes=app.routes,
                tags=app.openapi_tags,
            )
            schema = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
            nested = schema.pop("$defs", {})
            made.setdefault("components", {}).setdefault("schemas", {}).update({"Problem": schema, **nested})
            app.openapi_schema = made
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]
