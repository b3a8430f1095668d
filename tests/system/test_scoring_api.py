"""The scoring API of two real services of one workspace: heads, changed items and deleted users, as callers see it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import httpx
import numpy as np
import pytest

from recsys.serving.processes.process import ServerProcess

pytestmark = pytest.mark.slow

PAGE = Path(__file__).parents[2] / "docs" / "api.md"


@pytest.fixture(scope="module")
def both(trained, tmp_path_factory) -> Iterator[list[httpx.Client]]:
    """Two services' clients."""
    logs = tmp_path_factory.mktemp("logs")
    services = [ServerProcess.start(trained, log=logs / f"{n}.log") for n in range(2)]
    clients = [httpx.Client(base_url=service.url, timeout=60, trust_env=False) for service in services]
    yield clients
    for client, service in zip(clients, services, strict=True):
        client.close()
        assert service.stop() == 0


def answered(reply: httpx.Response):
    assert reply.status_code == 200, reply.text
    return reply.json()


def recommended(client, **body):
    return {item["item_id"]: item for item in answered(client.post("/v1/recommendations", json=body))["items"]}


def test_heads_scores_and_recommendations_agree(both):
    page = {}
    for block in re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL):
        exec(compile(block, str(PAGE), "exec"), page)
    items = [f"f{n}" for n in range(40)]
    head = answered(both[0].post("/v1/heads", json={"user_id": "u1", "items": items}))
    [user] = answered(both[1].post("/v1/scores", json={"users": [{"user_id": "u1"}], "items": items}))["users"]
    ranked = recommended(both[0], user_id="u1", k=40, exclude_seen=False)
    np.testing.assert_allclose(page["scores_in_numpy"](head), user["scores"], atol=1e-5, rtol=0)
    np.testing.assert_allclose(page["scores_in_polars"](head)["score"], user["scores"], atol=1e-5, rtol=0)
    np.testing.assert_allclose([ranked[item]["score"] for item in items], user["scores"], atol=1e-5, rtol=0)


def test_a_change_of_an_item_is_felt_by_the_other_service_at_its_next_request(both):
    one, two = both
    for n in (3, 2, 1, 9):
        answered(one.put("/v1/items/f9", json={"available": False}))
        assert "f9" not in recommended(two, context={"history": [{"item_id": "f8"}]}, k=40)
        answered(two.put("/v1/items/f9", json={"available": True, "attributes": {"title": f"Film number {n}"}}))
        assert recommended(one, context={"history": [{"item_id": "f8"}]}, k=40)["f9"]["title"] == f"Film number {n}"


def test_a_user_who_is_deleted_over_http_is_unknown_to_both_and_named_in_no_file(both, trained, files_with):
    gone = f"unmistakable-{uuid4().hex}"
    for client, item in ((both[0], "f1"), (both[1], "f2")):
        answered(client.post("/v1/events", json={"events": [{"user_id": gone, "item_id": item}]}))
    assert answered(both[0].get(f"/v1/users/{gone}/context"))["events"] == 2
    assert answered(both[1].delete(f"/v1/users/{gone}"))["events"] == 2
    assert files_with(trained.root, gone) == []
    for client in both:
        context = answered(client.get(f"/v1/users/{gone}/context"))
        assert (context["known"], context["degraded"]["reason"]) == (False, "unknown_user")
    answered(both[0].post("/v1/events", json={"events": [{"user_id": gone, "item_id": "f3"}]}))
    assert answered(both[1].get(f"/v1/users/{gone}/context"))["seen_items"] == ["f3"]
