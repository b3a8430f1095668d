"""Heads that are handed out: the code of docs/api.md makes the service's scores of them, for every kind of head."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from safetensors import deserialize
from safetensors.numpy import load

from recsys.serving.answers.heads import SAFETENSORS

HEADS, SCORES = "/v1/heads", "/v1/scores"
PAGE = Path(__file__).parents[2] / "docs" / "api.md"
ITEMS = ["m3", "m17", "m1", "m20", "m3"]
KINDS = [(kind, discovery) for kind in ("gains", "film", "lowrank", "full") for discovery in (False, True)]


def history(*items):
    return {"history": [{"item_id": item} for item in items]}


@pytest.fixture(scope="module")
def page():
    """The functions that the page defines."""
    defined = {}
    for block in re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL):
        exec(compile(block, str(PAGE), "exec"), defined)
    return defined


@pytest.mark.parametrize(("kind", "discovery"), KINDS)
@pytest.mark.parametrize("context", [history("m1", "m5", "m9"), history("m2"), {}])
def test_the_pages_code_reproduces_the_services_scores(modelled, page, kind, discovery, context):
    service = modelled(kind, discovery=discovery)
    reply = service.post(HEADS, context=context, items=ITEMS)
    wanted = service.post(SCORES, users=[{"context": context}], items=ITEMS)["users"][0]["scores"]
    assert reply["kind"] == kind
    assert len({round(score, 3) for score in wanted}) == 4
    np.testing.assert_allclose(page["scores_in_numpy"](reply), wanted, atol=1e-5, rtol=0)
    table = page["scores_in_polars"](reply)
    assert table["item_id"].to_list() == ITEMS
    np.testing.assert_allclose(table["score"].to_numpy(), wanted, atol=1e-5, rtol=0)


@pytest.mark.parametrize("accept", [SAFETENSORS, f"text/html, {SAFETENSORS.upper()};q=0.9, */*"])
def test_safetensors_hold_the_same_as_json(modelled, page, accept):
    service = modelled("lowrank")
    body = {"context": history("m1", "m5"), "items": [*ITEMS, "unheard-of"]}
    plain = service.post(HEADS, **body)
    reply = service.http.post(HEADS, json=body, headers={"Accept": accept, "X-Request-ID": "r1"})
    assert reply.headers["content-type"] == SAFETENSORS
    tensors = load(reply.content)
    told = {name: own for name, own in plain["tensors"].items() if own is not None}
    assert set(tensors) == set(told)
    for name, own in told.items():
        np.testing.assert_array_equal(tensors[name], np.asarray(own, dtype=np.float32))
    about = metadata(reply.content)
    assert about == {**{name: own for name, own in plain.items() if name != "tensors"}, "request_id": "r1"}
    assert about["unknown_items"] == ["unheard-of"]
    np.testing.assert_allclose(
        page["scores_in_numpy"]({"kind": about["kind"], "tensors": tensors}),
        page["scores_in_numpy"](plain),
        atol=1e-5,
    )


@pytest.mark.parametrize(
    "accept", ["*/*", "image/png", f"{SAFETENSORS};q=0, application/json", f"{SAFETENSORS}; q = 0.0"]
)
def test_json_comes_where_safetensors_are_not_asked_for(modelled, accept):
    reply = modelled().http.post(HEADS, json={"user_id": "ann"}, headers={"Accept": accept})
    assert reply.headers["content-type"] == "application/json"


def metadata(content):
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    assert {name for name, _ in deserialize(content)} == set(header) - {"__metadata__"}
    return {name: json.loads(value) for name, value in header["__metadata__"].items()}


def test_a_head_goes_without_candidates(modelled):
    reply = modelled("gains").post(HEADS, context=history("m1"))
    assert (reply["item_ids"], reply["tensors"]["expert_scores"]) == ([], [])
    assert len(reply["tensors"]["gains"]) == len(reply["experts"])
    assert reply["tensors"]["film"] is None


def test_another_context_has_another_head(modelled):
    service = modelled("film")
    one, other = (service.post(HEADS, context=history(item))["tensors"] for item in ("m1", "m8"))
    assert one["gains"] != other["gains"]
    assert one["film"] != other["film"]


def test_of_nobody_the_head_is_the_shared_one_and_the_reply_says_so(modelled):
    reply = modelled("film").post(HEADS, user_id="nobody")
    assert reply["degraded"]["reason"] == "unknown_user"
    assert not np.any(reply["tensors"]["film"])


@pytest.mark.parametrize("accept", [SAFETENSORS, "application/json"])
def test_a_degraded_head_says_so_in_its_header_and_is_counted_in_either_form(modelled, accept):
    http = modelled("film").http
    reply = http.post(HEADS, json={"user_id": "nobody"}, headers={"Accept": accept})
    assert (reply.headers["content-type"], reply.headers["x-degraded"]) == (accept, "unknown_user")
    assert 'recsys_degraded_replies_total{reason="unknown_user"} 1.0' in http.get("/metrics").text
    whole = http.post(HEADS, json={"context": history("m1")}, headers={"Accept": accept})
    assert "x-degraded" not in whole.headers


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "user_id"),
        ({"user_id": "ann", "items": [None]}, "items[0]"),
        ({"user_id": "ann", "items": ["m1"] * 1_001}, "items"),
        ({"user_id": "ann", "k": 3}, "k"),
        ({"context": {"profile": {"shoe": 1}}}, "context.profile.shoe"),
    ],
)
def test_what_is_wrong_is_named(modelled, body, field):
    reply = modelled().http.post(HEADS, json=body)
    assert (reply.status_code, reply.json()["errors"][0]["field"]) == (422, field)
