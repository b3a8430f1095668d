"""How routes describe themselves in the OpenAPI document: replies with an example, errors as problem documents.

Each problem is described once, among the document's components; every operation that can end with it refers to it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute

from recsys.serving.http.problems import PROBLEM_JSON, Problem
from recsys.serving.messages import examples

Responses = dict[int | str, dict[str, Any]]
Refusals = Callable[[str, str, bool], Collection[int]]
"""From a route's method, its path as declared and whether it takes a body: what it may be refused with beforehand."""

_PROBLEM_REF = "#/components/schemas/Problem"
_CHALLENGE = {
    "WWW-Authenticate": {
        "description": "What the request lacks (RFC 6750).",
        "required": True,
        "schema": {"type": "string"},
    }
}
_WAIT = {
    "Retry-After": {
        "description": "Seconds after which to try again.",
        "required": True,
        "schema": {"type": "integer", "minimum": 1},
    }
}


@dataclass(frozen=True, slots=True)
class _Ending:
    """One problem that requests end with: its name among the components, what it means, its headers, an example."""

    name: str
    meaning: str
    headers: dict[str, Any] | None = None
    example: dict[str, Any] | None = None

    def described(self) -> dict[str, Any]:
        content: dict[str, Any] = {"schema": {"$ref": _PROBLEM_REF}}
        if self.example is not None:
            content["example"] = self.example
        found: dict[str, Any] = {"description": self.meaning, "content": {PROBLEM_JSON: content}}
        return found if self.headers is None else {**found, "headers": self.headers}


_ENDINGS = {
    400: _Ending(
        "BadRequest",
        "The body is not JSON in UTF-8, nests too deep or has too many parts; or the request is no HTTP/1.1, or its "
        "header Host is missing or there twice.",
    ),
    401: _Ending(
        "Unauthorized", "A service with keys asks for one of them: send Authorization: Bearer KEY.", _CHALLENGE
    ),
    403: _Ending("Forbidden", "The key lacks the scope that the header names.", _CHALLENGE),
    404: _Ending("NotFound", "There is no such item, or the model does not know it."),
    408: _Ending("RequestTimeout", "The body did not arrive in time."),
    413: _Ending("ContentTooLarge", "The body is too large."),
    415: _Ending("UnsupportedMediaType", "The body is not declared as JSON."),
    421: _Ending("MisdirectedRequest", "The header Host does not name this service."),
    422: _Ending("UnprocessableContent", "A field cannot be used; `errors` names it.", example=examples.PROBLEM),
    429: _Ending("TooManyRequests", "The key makes more requests than it may, or has too many under way.", _WAIT),
    431: _Ending("RequestHeaderFieldsTooLarge", "Address and headers are too large; the connection is closed."),
    503: _Ending(
        "ServiceUnavailable",
        "There is no champion yet, what is stored cannot be changed now, or too much is under way; try again later.",
        _WAIT,
        examples.NO_CHAMPION,
    ),
}


def documented(reply: dict[str, Any], *problems: int) -> Responses:
    """What a route's `responses` holds: the example of its 200, and the problems that it ends with of itself."""
    responses: Responses = {200: {"content": {"application/json": {"example": reply}}}}
    for status in problems:
        responses[status] = {}  # `describe` refers to what the document holds once
    return responses


def describe(app: FastAPI, refusals: Refusals) -> None:
    """Makes the app's OpenAPI document hold problem documents, which no route returns by type, and who meets which.

    Args:
        app: the application, with all its routes.
        refusals: what a request may be refused with before its route sees it.
    """

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            made = get_openapi(
                title=app.title,
                version=app.version,
                description=app.description,
                routes=app.routes,
                tags=app.openapi_tags,
            )
            _add_problems(made.setdefault("components", {}))
            for route, method in _documented_routes(app):
                operation = made["paths"][route.path_format][method.lower()]
                met = {int(status) for status in operation["responses"]} - {200}
                met |= {*refusals(method, route.path, route.body_field is not None)}
                problems = {str(status): _reference(status) for status in sorted(met)}
                operation["responses"] = {"200": operation["responses"]["200"], **problems}
            app.openapi_schema = made
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]


def _documented_routes(app: FastAPI) -> Iterator[tuple[APIRoute, str]]:
    for route in app.routes:
        if isinstance(route, APIRoute) and route.include_in_schema:
            for method in route.methods or ():
                yield route, method


def _add_problems(components: dict[str, Any]) -> None:
    schema = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    nested = schema.pop("$defs", {})
    components.setdefault("schemas", {}).update({"Problem": schema, **nested})
    components["responses"] = {ending.name: ending.described() for ending in _ENDINGS.values()}


def _reference(status: int) -> dict[str, str]:
    return {"$ref": f"#/components/responses/{_ENDINGS[status].name}"}
