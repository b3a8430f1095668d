"""Users are dealt out by a hash: always alike, in the share that was asked for, anew for each experiment."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.errors import ConfigError
from recsys.serving.api import create_app
from recsys.serving.experiment.experiment import Experiment, ExperimentOptions, impression_recorder
from recsys.serving.experiment.splitting import Split, place
from tests.serving.conftest import NOW, NeighbourRanker, TestClient

USERS = [f"user-{n}" for n in range(20_000)]


class BackwardsRanker(NeighbourRanker):
    """The alphabet from its end: nobody mixes its lists up with the champion's."""

    broken = False

    def __init__(self):
        super().__init__(("f", "e", "d", "c", "b", "a"))

    def recommend(self, rows, k=10, **asked):
        if self.broken:
            raise RuntimeError("a matrix is singular")
        return super().recommend(rows, k, **asked)


@pytest.fixture
def challenger(service):
    return replace(service.models.model, ranker=BackwardsRanker(), version="8", content_hash="b00")


@pytest.fixture
def split(service, challenger):
    return Split(service.models, lambda: challenger, 0.3)


@pytest.fixture
def recorded():
    return []


@pytest.fixture
def client(service, split, recorded):
    recorder = impression_recorder(recorded.extend)
    app = create_app(
        models=service.models,
        features=service.models.model.features,
        log=service.log,
        live=service.live,
        clock=lambda: NOW,
        running=(recorder,),
        experiment=Experiment(split, recorder),
    )
    with TestClient(app, raise_server_exceptions=False) as made:
        yield made


def ask(client, user, **more):
    reply = client.post("/v1/recommendations", json={"user_id": user, "k": 2, **more})
    assert reply.status_code == 200, reply.text
    return reply.json()


@given(salt=st.text(max_size=20), unit=st.text(min_size=1, max_size=40))
def test_a_place_lies_between_0_and_1_and_is_the_same_for_ever(salt, unit):
    assert 0 <= place(salt, unit) < 1
    assert place(salt, unit) == place(salt, unit)


def test_the_places_of_a_known_user_do_not_change_with_the_library():
    assert place("films:1:2", "ann") == pytest.approx(0.0374248805)


@pytest.mark.parametrize("share", [0.01, 0.1, 0.5, 0.9])
def test_the_share_comes_true(share):
    """Within four standard errors: one run in 16,000 would fail by chance, and this one is always the same."""
    found = np.mean([place("films:1:2", user) < share for user in USERS])
    assert abs(found - share) < 4 * np.sqrt(share * (1 - share) / len(USERS))


def test_experiments_deal_users_out_independently():
    one, other = (np.array([place(salt, user) < 0.5 for user in USERS]) for salt in ("films:1:2", "films:1:3"))
    assert abs(np.corrcoef(one, other)[0, 1]) < 0.03


def test_a_larger_share_keeps_those_who_had_the_challenger():
    smaller, larger = ({user for user in USERS if place("films:1:2", user) < share} for share in (0.1, 0.2))
    assert smaller < larger


def test_every_reply_names_one_version_and_its_list_is_that_versions(client):
    replies = [ask(client, f"u{n}") for n in range(200)]
    assert {(reply["arm"], reply["model_version"], reply["origin"]["content_hash"]) for reply in replies} == {
        ("champion", "7", "c0ffee"),
        ("challenger", "8", "b00"),
    }
    for reply in replies:
        expected = ["a", "b"] if reply["model_version"] == "7" else ["f", "e"]
        assert [item["item_id"] for item in reply["items"]] == expected


def test_a_user_stays_in_the_arm(client):
    for user in ("ann", "bob", "carl", "dora"):
        assert len({ask(client, user)["arm"] for _ in range(5)}) == 1


def test_a_visitor_is_assigned_by_the_request(client):
    body = {"context": {"history": [{"item_id": "c"}]}, "k": 2}

    def arms(request):
        headers = {"X-Request-ID": request}
        return {client.post("/v1/recommendations", json=body, headers=headers).json()["arm"] for _ in range(3)}

    found = [arms(f"request-{n}") for n in range(50)]
    assert all(len(one) == 1 for one in found)
    assert set.union(*found) == {"champion", "challenger"}


def test_what_was_shown_is_recorded_with_arm_and_propensity(client, recorded):
    replies = {reply["request_id"]: reply for reply in (ask(client, f"u{n}") for n in range(50))}
    deadline = time.monotonic() + 5
    while len(recorded) < 50 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert {one.request_id: one.arm for one in recorded} == {name: reply["arm"] for name, reply in replies.items()}
    assert {(one.arm, one.propensity) for one in recorded} == {("champion", 0.7), ("challenger", 0.3)}
    assert {(one.champion_version, one.challenger_version) for one in recorded} == {("7", "8")}


@pytest.mark.parametrize("gone", ["no challenger", "the champion itself", "no share"])
def test_without_an_experiment_everybody_gets_the_champion_and_no_arm(client, service, split, gone):
    if gone == "no challenger":
        split.challenger = lambda: None
    elif gone == "the champion itself":
        split.challenger = service.models.current
    else:
        split.share = 0.0
    replies = [ask(client, f"u{n}") for n in range(30)]
    assert {(reply["arm"], reply["model_version"]) for reply in replies} == {(None, "7")}


def test_where_the_challenger_fails_the_champion_answers_and_the_user_stays_in_the_arm(client, challenger, caplog):
    challenger.ranker.broken = True
    replies = [ask(client, f"u{n}") for n in range(60)]
    assert {(reply["arm"], reply["model_version"]) for reply in replies} == {("champion", "7"), ("challenger", "7")}
    failed = sum(reply["arm"] == "challenger" for reply in replies)
    assert client.get("/v1/model").json()["experiment"]["substitutions"] == failed
    assert caplog.text.count("RuntimeError: a matrix is singular") == 1


def test_a_challenger_that_knows_fewer_items_refuses_nobody_and_has_not_failed(client, split, challenger, caplog):
    split.challenger = lambda: replace(challenger, vocabulary=frozenset("ab"))
    split.share = 0.999
    reply = ask(client, "ann", k=6)
    assert (reply["arm"], reply["model_version"], len(reply["items"])) == ("challenger", "7", 6)
    assert client.post("/v1/recommendations", json={"user_id": "ann", "k": 7}).status_code == 422
    assert client.get("/v1/model").json()["experiment"]["substitutions"] == 0
    assert "failed" not in caplog.text


def test_a_challenger_that_reads_fewer_columns_has_not_failed_either(client, split, challenger):
    fewer = replace(challenger.features, schema=replace(challenger.features.schema, user_columns={"age": "numeric"}))
    split.challenger = lambda: replace(challenger, features=fewer)
    split.share = 0.999
    reply = ask(client, "ann", context={"profile": {"job": "baker"}})
    assert (reply["arm"], reply["model_version"]) == ("challenger", "7")
    assert client.get("/v1/model").json()["experiment"]["substitutions"] == 0


def test_a_challenger_reads_its_own_features(client, split, challenger, service):
    own = replace(challenger.features, service="context_of_the_challenger")
    split.challenger = lambda: replace(challenger, features=own)
    found = {(reply["arm"], reply["feature_service"]) for reply in (ask(client, f"u{n}") for n in range(60))}
    assert found == {("champion", "context_12345678"), ("challenger", "context_of_the_challenger")}


@pytest.mark.parametrize("share", [-0.1, 1.0, 2.0, float("nan")])
def test_a_share_that_gives_no_experiment_is_a_mistake(share):
    with pytest.raises(ConfigError, match="between 0 and 1"):
        ExperimentOptions(split=share)


def test_a_split_is_always_recorded():
    assert ExperimentOptions(split=0.1).records
    assert not ExperimentOptions().records
