"""Requests that are nearly right: the documented examples with one place changed never make the service fail.

Schemathesis (test_openapi_conformance.py) asks whatever the document allows or forbids; here comes what it does not
send: a megabyte of text, half a character, numbers that are none, lists thousands long.
"""

import copy
import json

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recsys.serving.http.problems import Problem
from recsys.serving.messages import examples, more_examples

EXAMPLES = [
    ("POST", path, entry["value"])
    for path, requests in (
        ("/v1/recommendations", examples.RECOMMENDATION_REQUESTS),
        ("/v1/scores", more_examples.SCORES_REQUESTS),
        ("/v1/heads", more_examples.HEADS_REQUESTS),
        ("/v1/events", examples.EVENTS_REQUESTS),
    )
    for entry in requests.values()
] + [("PUT", "/v1/items/m4", entry["value"]) for entry in more_examples.ITEM_REQUESTS.values()]

EXTREMES = [
    "",
    "m1",
    "x" * 1_000_000,
    "\x00",
    "\ud800",
    "=",
    "in",
    "year",
    "genres",
    "2026-05-01T18:30:00Z",
    0,
    -1,
    0.5,
]
EXTREMES += [
    2**63,
    10**400,
    1e308,
    float("nan"),
    float("inf"),
    True,
    None,
    [],
    {},
    [[]] * 3,
    ["m1", "m1", None],
    {"": {}},
]
FAMILIAR = [
    "user_id",
    "context",
    "k",
    "items",
    "users",
    "filters",
    "op",
    "value",
    "column",
    "attributes",
    "explain",
    "x",
]


def places(node, path=()):
    """Every place in a body, the body itself first."""
    yield path
    inner = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in inner:
        yield from places(value, (*path, key))


@st.composite
def mutated(draw):
    method, path, example = draw(st.sampled_from(EXAMPLES))
    body = {"it": copy.deepcopy(example)}
    for _ in range(draw(st.integers(1, 2))):
        *way, last = draw(st.sampled_from([("it", *place) for place in places(body["it"])]))
        node = body
        for key in way:
            node = node[key]
        if isinstance(node[last], dict) and draw(st.booleans()):
            node[last][draw(st.sampled_from(FAMILIAR))] = copy.deepcopy(draw(st.sampled_from(EXTREMES)))
        elif isinstance(node[last], list) and node[last] and draw(st.booleans()):
            node[last] = node[last] * draw(st.sampled_from([2, 50, 2_000]))
        else:
            node[last] = copy.deepcopy(draw(st.sampled_from(EXTREMES)))
    return method, path, body["it"]


def answered(reply):
    assert reply.status_code < 500, reply.text
    if reply.status_code != 200:
        found = Problem.model_validate(reply.json())
        assert found.status == reply.status_code
        assert reply.status_code != 422 or found.errors
    return reply


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(mutated())
def test_an_example_with_a_place_changed_is_answered_or_refused_with_the_field(modelled, request_of):
    method, path, body = request_of
    http = modelled().http
    answered(http.request(method, path, content=json.dumps(body), headers={"Content-Type": "application/json"}))
