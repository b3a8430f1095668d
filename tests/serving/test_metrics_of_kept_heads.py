"""What is kept is counted for Prometheus, whatever Feast does to the environment of the process."""

from __future__ import annotations

import pytest

from recsys.ranking.kept_heads import KeptHeads
from recsys.serving.api import create_app
from recsys.serving.edge.metrics import SHARED_FOLDER
from tests.serving.conftest import FixedModel, NotedRefreshes, ServedFeatures, ServedModel, TestClient
from tests.serving.modelled import SCHEMA, VOCABULARY, small_recommender


@pytest.fixture
def kept_app(service):
    kept = KeptHeads(10**6)
    ranker = small_recommender().keeping(kept, "hash")
    features = ServedFeatures(service.contexts, SCHEMA, "context_12345678", embedded=True)
    model = ServedModel(ranker, "7", "hash", frozenset(VOCABULARY), features)
    return create_app(models=FixedModel(model), features=features, log=service.log, live=NotedRefreshes(), kept=kept)


def test_hits_and_misses_are_told_also_after_feast_was_imported(kept_app, monkeypatch, tmp_path):
    monkeypatch.setenv(SHARED_FOLDER, str(tmp_path))
    with TestClient(kept_app) as client:
        client.post("/v1/events", json={"events": [{"user_id": "ann", "item_id": "m1"}]})
        replies = [client.post("/v1/recommendations", json={"user_id": "ann", "k": 5}).json() for _ in range(3)]
        told = client.get("/metrics").text
    assert replies[0]["items"] == replies[2]["items"]
    assert 'recsys_kept_heads_total{outcome="hit"} 2.0' in told
    assert 'recsys_kept_heads_total{outcome="miss"} 1.0' in told
    assert 'route="/v1/recommendations"' in told
