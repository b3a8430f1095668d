"""Whatever a running service is sent, it says what is wrong with it or answers with a reason, and does not grow."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from recsys.serving.http.problems import Problem

pytestmark = pytest.mark.slow

MEGABYTE = 1024 * 1024
RECOMMEND, SCORES, HEADS, EVENTS = "/v1/recommendations", "/v1/scores", "/v1/heads", "/v1/events"
TEXT = "x" * MEGABYTE
MILLION = [f"f{n}" for n in range(10**6)]
EVENT = {"user_id": "u1", "item_id": "f1"}
FEW = {"user_id": "u1", "k": 3}


@pytest.fixture(scope="module")
def http(service):
    with httpx.Client(base_url=service.url, timeout=60, trust_env=False) as client:
        yield client


REFUSED = [
    (RECOMMEND, {"user_id": "u1", "k": 0}, "k"),
    (RECOMMEND, {"user_id": "u1", "k": 41}, "k"),
    (RECOMMEND, {"user_id": "u1", "k": 10**400}, "k"),
    (RECOMMEND, {"user_id": "u1", "k": "3"}, "k"),
    (RECOMMEND, {"user_id": TEXT}, "user_id"),
    (RECOMMEND, {"user_id": "u1", TEXT: 1}, "x" * 100),
    (RECOMMEND, {"user_id": "u1", "exclude_items": [None]}, "exclude_items[0]"),
    (RECOMMEND, {"user_id": "u1", "exclude_items": ["f1"] * 10_001}, "exclude_items"),
    (RECOMMEND, {"user_id": "u1", "include_only": [TEXT]}, "include_only[0]"),
    (RECOMMEND, {"user_id": "u1", "filters": [{"column": "title", "op": "=", "value": TEXT}]}, "filters[0].value"),
    (RECOMMEND, {"user_id": "u1", "filters": [{"column": "year", "op": "=", "value": 1}]}, "filters[0].column"),
    (RECOMMEND, {"user_id": "u1", "filters": [{"column": "title", "op": "<", "value": "a"}]}, "filters[0].op"),
    (RECOMMEND, {"user_id": "u1", "filters": [{}] * 21}, "filters"),
    (RECOMMEND, {"context": {"history": [{"item_id": "f1"}] * 1_001}}, "context.history"),
    (RECOMMEND, {"context": {"profile": {"age": TEXT[:10_000]}}}, "context.profile.age"),
    (RECOMMEND, {"context": {"profile": {"age": [[[]]]}}}, "context.profile.age"),
    (SCORES, {"users": [{"user_id": "u1"}], "items": MILLION}, "items"),
    (SCORES, {"users": [{"user_id": "u1", "items": MILLION}]}, "users[0].items"),
    (SCORES, {"users": [{"user_id": "u1"}] * 101, "items": ["f1"]}, "users"),
    (SCORES, {"users": [{"user_id": "u1"}] * 100, "items": ["f1"] * 1_001}, "users"),
    (SCORES, {"users": [{"user_id": None}], "items": ["f1"]}, "users[0].user_id"),
    (SCORES, {"users": [{"user_id": "u1"}], "items": ["f1", None]}, "items[1]"),
    (HEADS, {"user_id": "u1", "items": ["f1"] * 1_001}, "items"),
    (EVENTS, {"events": [EVENT] * 1_001}, "events"),
    (EVENTS, {"events": [{**EVENT, "event_id": TEXT}]}, "events[0].event_id"),
    (EVENTS, {"events": [{**EVENT, "value": 1e308}]}, "events[0].value"),
]


@pytest.mark.parametrize(("path", "body", "field"), REFUSED)
def test_the_field_that_cannot_be_used_is_named(http, path, body, field):
    reply = http.post(path, json=body)
    assert reply.status_code == 422, reply.text[:500]
    found = Problem.model_validate(reply.json())
    assert [error.field for error in found.errors] == [field]
    assert len(reply.content) < 2_000


@pytest.mark.parametrize(
    ("text", "status"),
    [
        (b"{", 400),
        (b'{"user_id": "u1",}', 400),
        (b"[" * 1_000_000, 400),
        (b'{"user_id": ' + b"[" * 500_000 + b"]" * 500_000 + b"}", 400),
        (b"[" + b"[]," * 600_000 + b"[]]", 400),
        (b'{"user_id": "' + b"x" * 17 * MEGABYTE + b'"}', 413),
        (json.dumps({"user_id": "u1", "include_only": MILLION}).encode(), 422),
        (b"\xff\xfe" * 1_000, 400),
    ],
)
def test_what_cannot_be_read_at_all_is_said_to_be_so(http, text, status):
    reply = http.post(RECOMMEND, content=text, headers={"Content-Type": "application/json"})
    assert reply.status_code == status, reply.text[:500]
    assert Problem.model_validate(reply.json()).status == status


TITLE = {"column": "title", "op": "=", "value": "Film number 5"}


@pytest.mark.parametrize(
    ("more", "left", "says"),
    [
        ({"filters": [TITLE, {**TITLE, "value": "Film number 6"}]}, 0, "No item that is available meets all filters."),
        ({"filters": [TITLE, {**TITLE, "op": "!="}]}, 0, "No item that is available meets all filters."),
        ({"filters": [TITLE], "exclude_items": ["f5"]}, 0, "exclude_items"),
        ({"exclude_items": [f"f{n}" for n in range(40)]}, 0, "exclude_items"),
        ({"include_only": []}, 0, "include_only"),
        ({"include_only": ["nothing", "of", "this"]}, 0, "include_only"),
        ({"include_only": ["f5"], "filters": [{**TITLE, "value": "Film number 6"}]}, 0, "filters"),
        ({"include_only": ["f5", "f5", "f5"], "exclude_seen": False}, 1, "include_only"),
        ({"exclude_items": ["f5", "f5", "unknown"] * 3_000}, 3, None),
        ({"context": {"history": [{"item_id": "f5"}] * 1_000}}, 3, None),
        ({"context": {"history": [{"item_id": "unknown"}] * 1_000}}, 3, None),
    ],
)
def test_where_little_or_nothing_is_left_the_reply_says_why(http, more, left, says):
    reply = http.post(RECOMMEND, json={**FEW, **more}).json()
    items = [item["item_id"] for item in reply["items"]]
    assert len(items) == len(set(items)) == left
    assert reply["shortfall"] is None if says is None else says in reply["shortfall"]


def test_ids_that_are_unknown_or_come_twice_are_answered_one_by_one(http):
    asked = ["f1", "unknown", "f1", "f2"]
    [user] = http.post(SCORES, json={"users": [{"user_id": "u1"}], "items": asked}).json()["users"]
    assert user["item_ids"] == asked
    assert user["scores"][1] is None
    assert user["scores"][0] == user["scores"][2] is not None


def test_the_largest_bodies_together_cost_bounded_memory(http, service):
    bodies = [
        json.dumps({"users": [{"user_id": "u1"}], "items": MILLION}).encode(),
        b'{"items": [' + b"[]," * 5_000_000 + b"[]]}",
        b'{"items": [' + b"0," * 7_000_000 + b"0]}",
        b'{"items": "' + b"\\u00e9" * 2_500_000 + b'"}',
        b"[" * 15_000_000,
    ]
    before = held(service, "VmRSS")
    headers = {"Content-Type": "application/json"}
    with ThreadPoolExecutor(8) as callers:
        replies = list(callers.map(lambda body: http.post(SCORES, content=body, headers=headers), bodies * 6))
    assert {reply.status_code for reply in replies} <= {400, 422, 503}
    assert all(reply.json()["code"] == "service_unavailable" for reply in replies if reply.status_code == 503)
    assert http.post(RECOMMEND, json=FEW).status_code == 200
    assert held(service, "VmHWM") - before < 600 * MEGABYTE
    assert held(service, "VmRSS") - before < 200 * MEGABYTE


def held(service, what):
    """Bytes that the process holds now (VmRSS), or held at most (VmHWM)."""
    told = Path(f"/proc/{service.process_id}/status").read_text()
    [line] = [line for line in told.splitlines() if line.startswith(what)]
    return int(line.split()[1]) * 1024
