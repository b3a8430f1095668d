"""What was shown is written down beside the replies; nothing that happens to it shows in a reply."""

from __future__ import annotations

import pytest

from recsys.events.impressions import ImpressionLog
from recsys.serving.api import create_app
from recsys.serving.experiment.experiment import Experiment, impression_recorder
from recsys.serving.experiment.splitting import Split
from tests.serving.conftest import NOW, TestClient


@pytest.fixture
def shown(service):
    return ImpressionLog(service.log.path.with_name("shown.sqlite"), service.log.path)


@pytest.fixture
def recording(service):
    """Makes the same service with a recorder that writes with a function."""

    def make(write):
        recorder = impression_recorder(write)
        experiment = Experiment(Split(service.models), recorder)
        features = service.models.model.features
        app = create_app(
            models=service.models,
            features=features,
            log=service.log,
            live=service.live,
            clock=lambda: NOW,
            running=(recorder,),
            experiment=experiment,
        )
        return TestClient(app, raise_server_exceptions=False)

    return make


def test_every_reply_is_on_the_disk_when_the_service_has_stopped(recording, shown):
    with recording(shown.append) as client:
        replies = [
            client.post("/v1/recommendations", json={"user_id": f"u{n}", "k": 3, "surface": "home"}).json()
            for n in range(20)
        ]
        client.post("/v1/recommendations", json={"context": {"history": [{"item_id": "d"}]}, "k": 2})
    rows = shown.read().to_dicts()
    assert len(rows) == 21
    for reply, row in zip(replies, rows, strict=False):
        assert row["request_id"] == reply["request_id"]
        assert row["item_ids"] == [item["item_id"] for item in reply["items"]]
        assert (row["user_id"], row["model_version"], row["shown_at"]) == (reply["user_id"], "7", NOW)
        assert (row["surface"], row["degraded"], row["arm"]) == ("home", "unknown_user", None)
    assert rows[-1]["user_id"] is None


def test_a_request_that_was_refused_was_shown_to_nobody(recording, shown):
    with recording(shown.append) as client:
        assert client.post("/v1/recommendations", json={"user_id": "ann", "k": 99}).status_code == 422
    assert shown.read().is_empty()


def test_a_disk_that_refuses_changes_no_reply_and_is_counted(recording, caplog):
    def refuse(batch):
        raise OSError("no space left on device")

    with recording(refuse) as client:
        assert all(client.post("/v1/recommendations", json={"user_id": "ann"}).status_code == 200 for _ in range(3))
    with recording(refuse) as client:
        client.post("/v1/recommendations", json={"user_id": "ann"})
        told = client.get("/v1/model").json()["experiment"]["impressions"]
        while told["dropped"] == 0:
            told = client.get("/v1/model").json()["experiment"]["impressions"]
    assert told == {"done": 0, "dropped": 1}
    assert "no space left" in caplog.text


def test_nothing_is_recorded_unless_it_was_asked_for(http):
    assert http.get("/v1/model").json()["experiment"] == {
        "challenger_version": None,
        "split": 0.0,
        "substitutions": 0,
        "impressions": None,
        "shadow": 0.0,
        "shadow_scores": None,
    }


def test_an_event_that_names_a_request_is_kept_with_it(http, service):
    from recsys.events.outcomes import Outcomes

    reply = http.post("/v1/recommendations", json={"user_id": "ann", "k": 1}).json()
    event = {"user_id": "ann", "item_id": "a", "request_id": reply["request_id"]}
    assert http.post("/v1/events", json={"events": [event]}).status_code == 200
    assert Outcomes(service.log.path).since(0)["request_id"].to_list() == [reply["request_id"]]


@pytest.mark.parametrize("request_id", ["", "a b", "x" * 129, "é", "r\u0000"])
def test_a_request_id_of_another_form_is_refused(http, request_id):
    event = {"user_id": "ann", "item_id": "a", "request_id": request_id}
    assert http.post("/v1/events", json={"events": [event]}).status_code == 422
