"""Scores of given candidates: the model's, for many users at once, in the order asked."""

import numpy as np
import pytest

SCORES = "/v1/scores"


def history(*items):
    return {"history": [{"item_id": item} for item in items]}


@pytest.fixture
def service(modelled):
    return modelled()


def happen(service, *events):
    sent = [{"user_id": user, "item_id": item} for user, item in events]
    assert service.http.post("/v1/events", json={"events": sent}).status_code == 200


def test_scores_are_those_of_the_ranking_in_the_order_asked(service):
    ranked = service.post("/v1/recommendations", context=history("m1", "m5"), k=24)["items"]
    wanted = {item["item_id"]: item["score"] for item in ranked}
    asked = ["m9", "m2", "m20", "m2"]
    [user] = service.post(SCORES, users=[{"context": history("m1", "m5")}], items=asked)["users"]
    assert user["item_ids"] == asked
    assert user["scores"] == pytest.approx([wanted[item] for item in asked])
    assert user["probabilities"] is None


def test_many_users_get_what_each_gets_alone_with_one_read_of_the_store(service, monkeypatch):
    happen(service, ("ann", "m1"), ("bob", "m7"), ("bob", "m8"))
    users = [
        {"user_id": "ann"},
        {"user_id": "bob", "context": history("m2")},
        {"context": history("m3")},
        {"user_id": "ann", "items": ["m11"]},
        {"user_id": "nobody"},
    ]
    alone = [service.post(SCORES, users=[user], items=["m4", "m5"])["users"][0] for user in users]
    features = service.models.current().features
    reads, online = [], features.contexts.online
    monkeypatch.setattr(features.contexts, "online", lambda ids: reads.append(list(ids)) or online(ids))
    together = service.post(SCORES, users=users, items=["m4", "m5"])
    assert reads == [["ann", "bob", "nobody"]]
    for one, own in zip(alone, together["users"], strict=True):
        assert own["scores"] == pytest.approx(one["scores"], abs=1e-5)
        assert {**own, "scores": []} == {**one, "scores": []}
    assert [user["context"]["events"] for user in together["users"]] == [1, 3, 1, 1, 0]
    assert together["users"][3]["item_ids"] == ["m11"]
    assert together["users"][4]["degraded"]["reason"] == "unknown_user"
    assert together["degraded"]["reason"] == "unknown_user"


def test_probabilities_are_calibrated_and_nothing_seen_has_one(service):
    everything = list(service.recommender.vocabulary)
    [user] = service.post(SCORES, users=[{"context": history("m1")}], items=everything, probabilities=True)["users"]
    chances = dict(zip(everything, user["probabilities"], strict=True))
    assert chances.pop("m1") == 0.0
    assert all(0 < chance < 1 for chance in chances.values())
    scores = dict(zip(everything, user["scores"], strict=True))
    assert sorted(chances, key=chances.__getitem__) == sorted(chances, key=scores.__getitem__)
    own = np.array([scores[item] for item in chances])
    softmax = np.exp(own - own.max()) / np.exp(own - own.max()).sum()
    line = service.recommender.calibration.item
    np.testing.assert_allclose(list(chances.values()), line.of(softmax), atol=1e-6)


def test_items_that_the_model_does_not_know_have_no_score_and_are_named(service):
    reply = service.post(SCORES, users=[{"context": history("m1")}], items=["m2", "x", "x"], probabilities=True)
    [user] = reply["users"]
    assert user["scores"][1:] == [None, None]
    assert user["probabilities"][1:] == [None, None]
    assert user["scores"][0] is not None
    assert reply["unknown_items"] == ["x"]


def test_a_broken_store_degrades_the_answer_for_those_who_are_stored(service):
    happen(service, ("ann", "m1"))
    service.models.current().features.contexts.broken = True
    reply = service.post(SCORES, users=[{"user_id": "ann"}, {"context": history("m3")}], items=["m2"])
    assert [user["degraded"] and user["degraded"]["reason"] for user in reply["users"]] == ["store_error", None]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "users"),
        ({"users": [], "items": ["m1"]}, "users"),
        ({"users": [{"user_id": "ann"}] * 101, "items": ["m1"]}, "users"),
        ({"users": [{"user_id": "ann"}]}, "users[0].items"),
        ({"users": [{"user_id": "ann"}], "items": []}, "users[0].items"),
        ({"users": [{"user_id": "ann"}, {"user_id": "bob", "items": []}], "items": ["m1"]}, "users[1].items"),
        ({"users": [{"user_id": "ann"}, {}], "items": ["m1"]}, "users[1].user_id"),
        ({"users": [{"user_id": "ann"}], "items": [None]}, "items[0]"),
        ({"users": [{"user_id": "ann"}], "items": ["m1"] * 10_001}, "items"),
        ({"users": [{"user_id": "ann"}] * 11, "items": ["m1"] * 10_000}, "users"),
        ({"users": [{"user_id": "ann"}], "items": ["m1"], "probabilities": 1}, "probabilities"),
        ({"users": [{"user_id": "ann", "k": 1}], "items": ["m1"]}, "users[0].k"),
        (
            {"users": [{"user_id": "ann"}, {"context": {"profile": {"shoe": 1}}}], "items": ["m1"]},
            "users[1].context.profile.shoe",
        ),
    ],
)
def test_what_is_wrong_is_named(service, body, field):
    reply = service.http.post(SCORES, json=body)
    assert reply.status_code == 422, reply.text
    assert reply.json()["errors"][0]["field"] == field


def test_a_million_candidates_are_too_many_and_the_limit_is_said(service):
    reply = service.http.post(SCORES, json={"users": [{"user_id": "ann"}], "items": [f"m{n}" for n in range(10**6)]})
    assert reply.status_code == 422
    [error] = reply.json()["errors"]
    assert error["field"] == "items"
    assert "10000" in error["detail"]
