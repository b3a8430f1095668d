"""Large bodies are parsed and judged beside the event loop: meanwhile others are answered."""

import json
import threading

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from pydantic import BaseModel, ConfigDict, field_validator

from recsys.serving.http import problems
from recsys.serving.http.large_bodies import LARGE_BYTES
from recsys.serving.http.problems import Problem
from recsys.serving.routes.route import ServiceRoute

SMALL, LARGE = "x", "x" * LARGE_BYTES
JSON = {"Content-Type": "application/json"}


class Judged(BaseModel):
    """Notes the thread that judges it; a text that begins with y has to wait, and one with z is wrong."""

    model_config = ConfigDict(strict=True, extra="forbid")
    text: str

    @field_validator("text")
    @classmethod
    def _noted(cls, text):
        seen.append(threading.current_thread())
        if text.startswith("y"):
            entered.set()
            assert leave.wait(20)
        if text.startswith("z"):
            raise ValueError("no z")
        return text


seen: list[threading.Thread] = []
entered, leave = threading.Event(), threading.Event()


@pytest.fixture
def http():
    seen.clear()
    entered.clear()
    leave.clear()
    app = FastAPI()
    app.router.route_class = ServiceRoute
    problems.install(app)

    @app.post("/judge")
    async def judge(body: Judged) -> dict[str, bool | int]:
        return {"in_loop": threading.current_thread() in seen, "judged": len(seen), "length": len(body.text)}

    with TestClient(app, raise_server_exceptions=False) as client:
        yield client


def test_a_small_body_is_judged_by_the_loop_itself(http):
    assert http.post("/judge", json={"text": SMALL}).json() == {"in_loop": True, "judged": 1, "length": 1}


def test_a_large_body_is_judged_once_and_in_another_thread(http):
    told = http.post("/judge", json={"text": LARGE}).json()
    assert told == {"in_loop": False, "judged": 1, "length": LARGE_BYTES}


def test_while_a_large_body_is_judged_others_are_answered(http):
    replies = []
    caller = threading.Thread(target=lambda: replies.append(http.post("/judge", json={"text": "y" + LARGE})))
    caller.start()
    assert entered.wait(20)
    assert http.post("/judge", json={"text": SMALL}).status_code == 200
    assert not replies
    leave.set()
    caller.join(20)
    assert replies[0].status_code == 200


@pytest.mark.parametrize(
    ("body", "field"),
    [({"text": "z" + LARGE}, "text"), ({"text": 5, "more": LARGE}, "more"), ([LARGE], ""), (LARGE, "")],
)
def test_what_is_wrong_with_a_large_body_is_said_as_with_a_small_one(http, body, field):
    small = json.loads(json.dumps(body).replace(LARGE, SMALL))
    large, other = (http.post("/judge", json=one) for one in (body, small))
    assert (large.status_code, other.status_code) == (422, 422)
    told, expected = (Problem.model_validate(reply.json()) for reply in (large, other))
    assert told.errors == expected.errors
    assert field in [error.field for error in told.errors]


def test_a_large_body_that_is_no_json_is_said_to_be_so(http):
    reply = http.post("/judge", content=b'{"text": "' + LARGE.encode(), headers=JSON)
    assert (reply.status_code, reply.json()["code"]) == (400, "malformed_json")
    reply = http.post("/judge", content=b'{"text": "\xff' + LARGE.encode() + b'"}', headers=JSON)
    assert reply.status_code == 400


def test_every_route_of_the_service_that_takes_a_body_does_so(service):
    taking = [route for route in service.app.routes if getattr(route, "body_field", None) is not None]
    assert len(taking) == 5
    assert all(isinstance(route, ServiceRoute) for route in taking)
