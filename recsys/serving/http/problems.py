"""Errors as problem documents (RFC 9457): which field, what is wrong, what to do. Nothing the caller sent is echoed."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import orjson
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.routing import Match
from starlette.types import Scope

from recsys.serving.http.middleware import REQUEST_ID_HEADER, request_id
from recsys.serving.ports import NoChampionError

PROBLEM_JSON = "application/problem+json"
RETRY_AFTER_SECONDS = "5"
_MAX_FIELDS = 20
_log = logging.getLogger(__name__)


class FieldProblem(BaseModel):
    """One field of the request that cannot be used."""

    field: str = Field(description="As one would write it: context.history[2].item_id; empty for the whole body.")
    pointer: str = Field(description="The same as a JSON pointer into the body.")
    detail: str


class Problem(BaseModel):
    """A problem document (RFC 9457)."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    code: str = Field(description="A short stable name: invalid_request, no_champion, ….")
    request_id: str
    errors: list[FieldProblem] = Field(default_factory=list)


@dataclass(frozen=True, slots=True)
class InvalidField:
    """A field that pydantic could not judge because the answer depends on the model or the workspace."""

    location: tuple[str | int, ...]
    detail: str


class InvalidRequestError(Exception):
    """The request is well-formed and cannot be answered all the same; becomes a 422 that names the fields."""

    def __init__(self, *fields: InvalidField) -> None:
        super().__init__("; ".join(field.detail for field in fields))
        self.fields = fields


class NotAcknowledgedError(Exception):
    """Events could not be made durable; none of them counts as received."""


class TryAgainError(Exception):
    """Something that may go well later; becomes a 503 with this code and sentence."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code


def install(app: FastAPI) -> None:
    """Makes every error of the app a problem document."""
    app.add_exception_handler(RequestValidationError, _on_validation_error)
    app.add_exception_handler(InvalidRequestError, _on_invalid_request)
    app.add_exception_handler(HTTPException, _on_http_exception)
    app.add_exception_handler(NoChampionError, _on_no_champion)
    app.add_exception_handler(NotAcknowledgedError, _on_not_acknowledged)
    app.add_exception_handler(TryAgainError, _on_try_again)
    app.add_exception_handler(Exception, _on_defect)


def refusal(scope: Scope, status: int, code: str, detail: str, headers: Mapping[str, str]) -> Response:
    """The problem document of a request that is refused before any route sees it."""
    return _reply(Request(scope), status, code, detail, headers=headers)


async def _on_validation_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    found = error.errors()
    if any(entry["type"] == "json_invalid" for entry in found):
        position = found[0]["loc"][-1]
        return _reply(request, 400, "malformed_json", f"The body is not JSON: it breaks off at character {position}.")
    if isinstance(error.body, bytes):
        return _reply(request, 415, "not_json", "Send the body as JSON with the header Content-Type: application/json.")
    fields = [_field_problem(entry["loc"][1:], _sentence(entry)) for entry in found[:_MAX_FIELDS]]
    return _invalid(request, fields, len(found))


async def _on_invalid_request(request: Request, error: Exception) -> Response:
    assert isinstance(error, InvalidRequestError)
    fields = [_field_problem(field.location, field.detail) for field in error.fields[:_MAX_FIELDS]]
    return _invalid(request, fields, len(error.fields))


async def _on_http_exception(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    code, headers = HTTPStatus(error.status_code).name.lower(), error.headers
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        headers = {**(headers or {}), "Allow": ", ".join(_methods(request))}
    return _reply(request, error.status_code, code, error.detail, headers=headers)


def _methods(request: Request) -> list[str]:
    """What may be asked of a path; the router knows of one route at a time."""
    there = [route for route in request.app.routes if route.matches(request.scope)[0] is not Match.NONE]
    return sorted({method for route in there for method in route.methods})


async def _on_no_champion(request: Request, error: Exception) -> Response:
    return _reply(request, 503, "no_champion", str(error), headers={"Retry-After": RETRY_AFTER_SECONDS})


async def _on_not_acknowledged(request: Request, error: Exception) -> Response:
    return _reply(request, 503, "not_acknowledged", str(error), headers={"Retry-After": RETRY_AFTER_SECONDS})


async def _on_try_again(request: Request, error: Exception) -> Response:
    assert isinstance(error, TryAgainError)
    return _reply(request, 503, error.code, str(error), headers={"Retry-After": RETRY_AFTER_SECONDS})


async def _on_defect(request: Request, error: Exception) -> Response:
    _log.error("request %s failed: %s", request_id(request.scope), type(error).__name__)
    return _reply(request, 500, "internal_error", "Something failed that should not; the log has it under request_id.")


def _invalid(request: Request, fields: Sequence[FieldProblem], total: int) -> Response:
    first = fields[0]
    more = f" (and {total - 1} more)" if total > 1 else ""
    detail = f"{first.field or 'body'}: {first.detail}{more}"
    return _reply(request, 422, "invalid_request", detail, errors=fields)


def _reply(
    request: Request,
    status: int,
    code: str,
    detail: str,
    *,
    errors: Sequence[FieldProblem] = (),
    headers: Mapping[str, str] | None = None,
) -> Response:
    known = request_id(request.scope)
    problem = Problem(
        title=HTTPStatus(status).phrase,
        status=status,
        detail=_encodable(detail),
        code=code,
        request_id=known,
        errors=list(errors),
    )
    # The answer to a defect is made outside the middleware that names requests, so the header is set here as well.
    sent = {**(headers or {}), REQUEST_ID_HEADER: known}
    return Response(orjson.dumps(problem.model_dump()), status_code=status, headers=sent, media_type=PROBLEM_JSON)


def _field_problem(location: Sequence[str | int], detail: str) -> FieldProblem:
    field, pointer = "", ""
    for part in location:
        name = _encodable(str(part))[:100]
        field += f"[{part}]" if isinstance(part, int) else (f".{name}" if field else name)
        pointer += "/" + name.replace("~", "~0").replace("/", "~1")
    return FieldProblem(field=field, pointer=pointer, detail=_encodable(detail))


def _sentence(entry: Mapping[str, Any]) -> str:
    if entry["type"] == "extra_forbidden":
        return "There is no such field."
    return str(entry["msg"]).removeprefix("Value error, ")


def _encodable(text: str) -> str:
    """JSON allows escapes of half a character (lone surrogates); UTF-8 does not."""
    return text.encode("utf-8", "replace").decode()
