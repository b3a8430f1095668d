"""What Schemathesis makes of the OpenAPI document, and what is checked of every reply to it.

The document is read from a service without a workspace: it is the same for all. Seeds are fixed and no examples are
kept from run to run, so that a run is like the one before.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import httpx
import schemathesis
from schemathesis.config import SchemathesisConfig

from recsys.serving.api import create_app
from recsys.serving.http.problems import Problem
from recsys.serving.ports import ServedFeatures
from tests.serving.conftest import SCHEMA, FixedModel

SEED = 20_260_501
_TELLING = ("Retry-After", "WWW-Authenticate")


def document() -> dict[str, Any]:
    """The document of a service that has every route."""
    app = create_app(
        models=FixedModel(None),
        features=ServedFeatures(None, SCHEMA, "context_12345678"),
        log=None,
        live=None,
        item_writer=object(),
        delete_users=lambda user_ids: None,
    )
    return app.openapi()


def documented_api(examples: int, known: Sequence[str], *, boundaries: bool = True) -> schemathesis.BaseSchema:
    """The document, to be asked everything of.

    Args:
        examples: how many random requests of each route, besides the document's own.
        known: texts that mean something to the service: ids, columns.
        boundaries: also every bound of every field, from both sides, and every other method.
    """
    config = {
        "seed": SEED,
        "dictionaries": {"known": {"values": list(known)}, "few": {"values": [1, 2, 5]}},
        # The document cannot say which columns a workspace has, or how many items: 422 is an answer to what it allows.
        "checks": {"positive_data_acceptance": {"expected-statuses": ["2xx", 404, 422]}},
        "generation": {
            "max-examples": examples,
            "deterministic": True,
            "database": "none",
            "no-shrink": True,
            "dictionaries": {
                "string": {"dictionary": "known", "probability": 0.5},
                "integer": {"dictionary": "few", "probability": 0.5},
            },
        },
        "phases": {"coverage": {"enabled": boundaries}},
    }
    return schemathesis.openapi.from_dict(document(), config=SchemathesisConfig.from_dict(config))


def ask_and_check(case: schemathesis.Case, **where: object) -> None:
    """Sends a request and judges the reply by the document.

    Args:
        case: what to send.
        where: `app` or `base_url`.
    """
    case.call_and_validate(additional_checks=[_refusals_say_what_is_wrong], **where)


def check_refusal(reply: httpx.Response, method: str, path: str) -> None:
    """Judges a refusal by what the document says of it for one operation: its status, its kind, its headers.

    Args:
        reply: the refusal.
        method: of the operation.
        path: as the document has it.
    """
    told = _document_once()
    reference = told["paths"][path][method.lower()]["responses"][str(reply.status_code)]["$ref"]
    described = told["components"]["responses"][reference.rpartition("/")[2]]
    assert [reply.headers["content-type"]] == list(described["content"])
    assert Problem.model_validate(reply.json()).status == reply.status_code
    assert {name for name in _TELLING if name in reply.headers} == {*described.get("headers", ())}


@cache
def _document_once() -> dict[str, Any]:
    return document()


def _refusals_say_what_is_wrong(context: object, response: schemathesis.Response, case: schemathesis.Case) -> None:
    if response.status_code < 400:
        return
    problem = Problem.model_validate(response.json())
    assert problem.status == response.status_code
    assert [problem.request_id] == response.headers["x-request-id"]
    assert problem.errors or problem.status != 422, "no field is named"
