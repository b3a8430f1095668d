"""Every reason for a lesser answer has a sentence, and a line in the documentation."""

import re
from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest

from recsys.context import reasons
from recsys.serving.messages.degraded import REGISTRY_UNREACHABLE, SENTENCES, ModelReason, described

DOCUMENT = Path(__file__).parents[2] / "docs" / "your-data.md"


def test_the_documentation_names_every_reason_with_its_fallback_and_no_other():
    section = DOCUMENT.read_text().split("## When an answer is less than it could be")[1].split("\n## ")[0]
    lines = re.findall(r"^\| `(\w+)` \| (.+) \| (.+) \|$", section, re.MULTILINE)
    assert [reason for reason, _, _ in lines] == [*get_args(reasons.Reason), *get_args(ModelReason)]


def test_every_reason_that_a_row_can_have_has_a_name_and_a_sentence():
    named = {value for name, value in vars(reasons).items() if name.isupper()}
    assert named == set(get_args(reasons.Reason))
    assert set(SENTENCES) == named | set(get_args(ModelReason))


@pytest.mark.parametrize("reason", list(SENTENCES))
def test_a_reply_says_the_reason_and_the_same_in_a_sentence(reason):
    told = described(reason)
    assert (told.reason, told.detail) == (reason, SENTENCES[reason])
    assert described(None) is None


@pytest.fixture
def without_a_registry(modelled):
    """A service on the last good copy of its model."""
    service = modelled()
    service.models.model = replace(service.models.model, degraded=REGISTRY_UNREACHABLE)
    return service


def known(service):
    sent = {"user_id": "ann", "item_id": "m1", "occurred_at": "2026-05-01T10:00:00Z"}
    assert service.http.post("/v1/events", json={"events": [sent]}).status_code == 200
    return {"user_id": "ann"}


ASKED = {
    "recommendations": lambda http, who: http.post("/v1/recommendations", json=who),
    "scores": lambda http, who: http.post("/v1/scores", json={"users": [who], "items": ["m2"]}),
    "heads": lambda http, who: http.post("/v1/heads", json=who),
    "similar": lambda http, who: http.get("/v1/items/m2/similar"),
    "context": lambda http, who: http.get("/v1/users/ann/context"),
    "model": lambda http, who: http.get("/v1/model"),
}


@pytest.mark.parametrize("ask", ASKED.values(), ids=ASKED)
def test_on_the_last_good_copy_every_answer_of_the_model_says_so(without_a_registry, ask):
    reply = ask(without_a_registry.http, known(without_a_registry))
    assert reply.json()["degraded"]["reason"] == REGISTRY_UNREACHABLE
    assert reply.headers["x-degraded"] == REGISTRY_UNREACHABLE


def test_the_contexts_own_reason_comes_first(without_a_registry):
    reply = without_a_registry.http.post("/v1/recommendations", json={"user_id": "nobody"})
    assert reply.json()["degraded"]["reason"] == "unknown_user"
