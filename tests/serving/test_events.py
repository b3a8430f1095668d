"""Events are acknowledged when they are durable, count once, and show in the next answer."""

import pytest

from recsys.events.removals import Removals

NOW = 1_800_000_000_000_000


@pytest.fixture
def post(http):
    def send(*events):
        return http.post("/v1/events", json={"events": list(events)})

    return send


def test_a_later_read_shows_the_effect_of_an_acknowledged_event(http, post):
    before = http.post("/v1/recommendations", json={"user_id": "ann", "k": 1}).json()
    acknowledged = post({"user_id": "ann", "item_id": "c"}).json()
    after = http.post("/v1/recommendations", json={"user_id": "ann", "k": 1}).json()
    assert before["items"][0]["item_id"] == "a"
    assert after["items"][0]["item_id"] == "d"
    assert after["context"]["log_sequence"] == acknowledged["log_sequence"] == 1


def test_an_acknowledged_event_is_in_the_log_as_sent(post, service):
    sent = {
        "event_id": "e1",
        "user_id": "ann",
        "item_id": "c",
        "occurred_at": "2020-01-01T00:00:00.25Z",
        "event": "buy",
        "value": 2.5,
    }
    reply = post(sent).json()
    [row] = service.log.read().to_dicts()
    assert (row["event_id"], row["user_id"], row["item_id"], row["event"], row["value"]) == (
        "e1",
        "ann",
        "c",
        "buy",
        2.5,
    )
    assert row["occurred_at"] == 1_577_836_800_250_000
    assert reply["event_ids"] == ["e1"]
    assert (reply["accepted"], reply["duplicates"], reply["log_sequence"]) == (1, 0, row["log_sequence"])


def test_an_event_without_time_happens_now_and_without_value_has_none(post, service):
    post({"user_id": "ann", "item_id": "c"})
    [row] = service.log.read().to_dicts()
    assert row["occurred_at"] == NOW
    assert row["value"] is None
    assert row["event"] is None


def test_sending_the_same_event_again_changes_nothing(post, service):
    event = {"event_id": "e1", "user_id": "ann", "item_id": "c"}
    assert post(event).json()["accepted"] == 1
    again = post(event).json()
    assert (again["accepted"], again["duplicates"], again["log_sequence"]) == (0, 1, 1)
    assert service.log.count() == 1


def test_other_content_under_the_same_id_is_told_and_the_first_stays(post, service):
    post({"event_id": "e1", "user_id": "ann", "item_id": "c"})
    reply = post({"event_id": "e1", "user_id": "ann", "item_id": "d"}).json()
    assert (reply["accepted"], reply["duplicates"], reply["conflicts"]) == (0, 1, 1)
    assert service.log.read()["item_id"].to_list() == ["c"]


def test_events_of_before_their_users_deletion_are_counted_and_left_out(post, service):
    Removals(service.log.path).remove_users(["ann"])
    reply = post(
        {"user_id": "ann", "item_id": "c", "occurred_at": "2020-01-01T00:00:00Z"},
        {"user_id": "bob", "item_id": "c", "occurred_at": "2020-01-01T00:00:00Z"},
    ).json()
    assert (reply["accepted"], reply["duplicates"], reply["withheld"]) == (1, 0, 1)
    assert service.log.read()["user_id"].to_list() == ["bob"]


def test_events_without_an_id_get_one_each(post):
    reply = post({"user_id": "ann", "item_id": "c"}, {"user_id": "ann", "item_id": "c"}).json()
    assert reply["accepted"] == 2
    assert len(set(reply["event_ids"])) == 2


def test_the_users_rows_are_refreshed_once_each(post, service):
    post({"user_id": "ann", "item_id": "c"}, {"user_id": "bob", "item_id": "c"}, {"user_id": "ann", "item_id": "d"})
    assert service.live.users == ["ann", "bob"]


def test_a_failing_refresh_loses_neither_the_event_nor_its_acknowledgement(http, post, service):
    service.live.broken = True
    assert post({"user_id": "ann", "item_id": "c"}).status_code == 200
    assert service.log.count() == 1
    assert http.post("/v1/recommendations", json={"user_id": "ann", "k": 1}).json()["items"][0]["item_id"] == "d"


def test_what_the_log_does_not_take_is_not_acknowledged(post, service, monkeypatch):
    def full(frame):
        raise OSError("no space left on device")

    monkeypatch.setattr(service.log, "append", full)
    reply = post({"user_id": "ann", "item_id": "c"})
    assert reply.status_code == 503
    assert reply.json()["code"] == "not_acknowledged"
    assert "no space" not in reply.text
    assert service.live.users == []


def test_events_need_no_champion(post, service):
    service.models.model = None
    reply = post({"user_id": "ann", "item_id": "c"})
    assert reply.status_code == 200
    assert reply.json()["model_version"] is None
    assert service.log.count() == 1


def test_items_the_model_cannot_score_yet_are_kept_and_named(post, service):
    reply = post({"user_id": "ann", "item_id": "new"}, {"user_id": "ann", "item_id": "a"}).json()
    assert reply["unknown_items"] == ["new"]
    assert service.log.count() == 2


@pytest.mark.parametrize("moment", ["2999-01-01T00:00:00Z", "1969-12-31T23:59:59Z", "1970-01-01T00:00:00Z"])
def test_an_event_from_the_future_or_before_1970_is_refused_and_nothing_is_kept(post, service, moment):
    reply = post({"user_id": "ann", "item_id": "a"}, {"user_id": "ann", "item_id": "b", "occurred_at": moment})
    assert reply.status_code == 422
    assert reply.json()["errors"][0]["field"] == "events[1].occurred_at"
    assert service.log.count() == 0
