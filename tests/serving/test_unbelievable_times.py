"""Events in the log that cannot have happened when they say: an answer that says what was done, never an error."""

import polars as pl
import pytest

from recsys.data.canonical import EVENT_SCHEMA

NOW = 1_800_000_000_000_000  # the service's clock
DAY = 86_400_000_000


@pytest.fixture
def answer(http, service):
    """Appends events (item, time) of ann's to the log and asks for her recommendations."""

    def ask(*events):
        rows = [(f"e{n}", "ann", item, at, None, 1.0) for n, (item, at) in enumerate(events)]
        service.log.append(pl.DataFrame(rows, schema=EVENT_SCHEMA, orient="row"))
        reply = http.post("/v1/recommendations", json={"user_id": "ann", "k": 3})
        assert reply.status_code == 200, reply.text
        return reply.json(), service.ranker.rows[-1]

    return ask


def test_an_event_from_the_future_is_left_out_and_its_item_not_recommended(answer):
    reply, row = answer(("c", NOW - DAY), ("d", NOW + DAY))
    assert reply["degraded"]["reason"] == "future_event"
    assert row.history_items == ("c",)
    assert {item["item_id"] for item in reply["items"]}.isdisjoint({"c", "d"})


@pytest.mark.parametrize("at", [0, -DAY])
def test_an_event_before_1970_is_kept_and_told(answer, at):
    reply, row = answer(("c", at), ("d", NOW - DAY))
    assert reply["degraded"]["reason"] == "event_before_1970"
    assert row.history_items == ("c", "d")


def test_a_clock_that_is_a_little_ahead_is_believed(answer):
    reply, row = answer(("c", NOW + 60_000_000))
    assert reply["degraded"] is None
    assert row.history_items == ("c",)
