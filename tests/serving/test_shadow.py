"""A challenger in the shadow changes no reply, whatever it does; what it would have said is noted in figures."""

from __future__ import annotations

import threading
import time
from dataclasses import replace

import pytest

from recsys.context.batch import FeatureRow
from recsys.errors import ConfigError
from recsys.serving.api import create_app
from recsys.serving.experiment import shadow as module
from recsys.serving.experiment.experiment import Experiment, ExperimentOptions
from recsys.serving.experiment.shadow import Shadow
from recsys.serving.experiment.splitting import Split
from tests.serving.conftest import NOW, NeighbourRanker, TestClient


class Moody(NeighbourRanker):
    """Ranks the alphabet from another letter on; fails or hangs when told to."""

    broken, gate = False, None

    def recommend(self, rows, k=10, **asked):
        if self.gate is not None:
            self.gate.wait(10)
        if self.broken:
            raise MemoryError("too large")
        return super().recommend(rows, k, **asked)


@pytest.fixture
def challenger(service):
    return replace(service.models.model, ranker=Moody(("b", "a", "c", "x", "d", "e", "f")), version="8")


@pytest.fixture
def scores():
    return []


@pytest.fixture
def run(service, scores):
    """The service with a challenger in the shadow of every request."""

    def make(challenger, *, share=1.0, split=0.0):
        dealt = Split(service.models, challenger, split)
        shadow = Shadow(challenger, share, scores.extend)
        app = create_app(
            models=service.models,
            features=service.models.model.features,
            log=service.log,
            live=service.live,
            clock=lambda: NOW,
            running=(shadow.work,),
            experiment=Experiment(dealt, shadow=shadow),
        )
        return TestClient(app, raise_server_exceptions=False)

    return make


def ask(client, user, k=4):
    reply = client.post("/v1/recommendations", json={"user_id": user, "k": k})
    assert reply.status_code == 200, reply.text
    return [item["item_id"] for item in reply.json()["items"]]


def test_agreement_and_times_are_noted_for_each_request(run, challenger, scores):
    with run(lambda: challenger) as client:
        assert [ask(client, f"u{n}") for n in range(10)] == [["a", "b", "c", "d"]] * 10
    assert len(scores) == 10
    for score in scores:
        assert (score.champion_version, score.challenger_version, score.k) == ("7", "8", 4)
        assert (score.overlap, score.correlation, score.same_first) == (0.75, pytest.approx(1 / 3), 0)
        assert score.champion_ms > 0
        assert score.challenger_ms > 0


def test_a_challenger_that_raises_changes_no_reply_and_is_counted(run, challenger, scores, caplog):
    challenger.ranker.broken = True
    with run(lambda: challenger) as client:
        assert [ask(client, f"u{n}") for n in range(5)] == [["a", "b", "c", "d"]] * 5
    assert [(score.challenger_ms, score.overlap) for score in scores] == [(None, None)] * 5
    assert caplog.text.count("MemoryError: too large") == 1


def test_replies_do_not_wait_for_a_challenger_that_hangs_and_what_is_too_much_is_dropped(
    run, challenger, scores, monkeypatch
):
    monkeypatch.setattr(module, "QUEUED", 2)
    gate = challenger.ranker.gate = threading.Event()
    with run(lambda: challenger) as client:
        for n in range(10):
            assert ask(client, f"u{n}") == ["a", "b", "c", "d"]
        told = client.get("/v1/model").json()["experiment"]["shadow_scores"]
        assert told["done"] == 0
        assert told["dropped"] >= 5
        gate.set()
    assert len(scores) == 10 - told["dropped"]


def test_only_the_share_that_was_asked_for_is_scored(run, challenger, scores):
    with run(lambda: challenger, share=0.2) as client:
        for n in range(200):
            headers = {"X-Request-ID": f"request-{n}"}
            client.post("/v1/recommendations", json={"user_id": "ann", "k": 1}, headers=headers)
            time.sleep(0)
    assert 15 < len(scores) < 65


@pytest.mark.parametrize("who", ["nobody", "the champion itself"])
def test_without_another_version_nothing_is_scored(run, service, scores, who):
    with run((lambda: None) if who == "nobody" else service.models.current) as client:
        ask(client, "ann")
    assert scores == []


def test_where_the_challenger_answers_nothing_is_scored_twice(run, challenger, scores):
    with run(lambda: challenger, split=0.5) as client:
        firsts = [ask(client, f"u{n}")[0] for n in range(40)]
    assert len(scores) == firsts.count("a") < 40


def test_the_champions_row_is_scored_unless_the_challenger_reads_other_features(run, challenger, service):
    class Other:
        def online(self, user_ids):
            return [FeatureRow(user_id=one, history_items=("other",), present=True) for one in user_ids]

    with run(lambda: challenger) as client:
        ask(client, "ann")
    assert challenger.ranker.rows == service.ranker.rows
    own = replace(challenger, features=replace(challenger.features, contexts=Other()))
    with run(lambda: own) as client:
        ask(client, "ann")
    assert challenger.ranker.rows[-1].history_items == ("other",)


def test_a_share_beyond_all_requests_is_a_mistake():
    with pytest.raises(ConfigError, match="no share"):
        ExperimentOptions(shadow=1.5)
    assert ExperimentOptions(shadow=0.1).has_challenger
    assert not ExperimentOptions(shadow=0.1).records
