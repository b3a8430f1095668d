"""What the service answers to a request for recommendations."""

from dataclasses import replace

import pytest

from recsys.data.schema import WorkspaceSchema
from recsys.errors import StoreTimeoutError
from recsys.serving.answers.choosing import Choice
from recsys.serving.answers.recommending import Recommending
from recsys.serving.contexts import resolve
from recsys.serving.experiment.experiment import Experiment
from recsys.serving.experiment.splitting import Split
from recsys.serving.folder.items import NoItems
from recsys.serving.messages.replies import RecommendationReply
from recsys.serving.messages.requests import InlineContext, RecommendationRequest
from tests.serving.conftest import FixedModel

NOW = 1_800_000_000_000_000


@pytest.fixture
def ask(http):
    def post(**body):
        reply = http.post("/v1/recommendations", json=body)
        assert reply.status_code == 200, reply.text
        return RecommendationReply.model_validate(reply.json())

    return post


@pytest.fixture
def happen(http):
    def post(*events):
        reply = http.post("/v1/events", json={"events": [{"user_id": u, "item_id": i} for u, i in events]})
        assert reply.status_code == 200, reply.text
        return reply.json()

    return post


def ids(reply):
    return [item.item_id for item in reply.items]


def inline(*items):
    return {"history": [{"item_id": item} for item in items]}


def test_a_known_user_gets_titled_items_best_first(ask, happen):
    happen(("ann", "c"))
    reply = ask(user_id="ann", k=3)
    assert ids(reply) == ["d", "a", "b"]
    assert [item.rank for item in reply.items] == [1, 2, 3]
    assert [item.title for item in reply.items] == ["Dune", "Alien", "Brazil"]
    assert reply.items[0].score > reply.items[1].score
    assert reply.degraded is None
    assert reply.context.stored
    assert (reply.context.events, reply.context.log_sequence) == (1, 1)


def test_every_reply_names_request_model_and_feature_service(http):
    reply = http.post("/v1/recommendations", json={"user_id": "ann"}, headers={"X-Request-ID": "abc-1"})
    body = reply.json()
    assert (body["request_id"], body["model_version"], body["feature_service"]) == ("abc-1", "7", "context_12345678")
    assert reply.headers["x-request-id"] == "abc-1"


@pytest.mark.parametrize("offered", ["", "line\tfeed", "x" * 129, "ä"])
def test_a_request_id_that_could_harm_a_log_is_replaced(http, offered):
    reply = http.post("/v1/recommendations", json={"user_id": "ann"}, headers={"X-Request-ID": offered.encode()})
    assert reply.json()["request_id"] == reply.headers["x-request-id"]
    assert len(reply.headers["x-request-id"]) == 32


def test_an_unknown_user_gets_what_suits_everybody_and_is_told_so(ask):
    reply = ask(user_id="nobody", k=2)
    assert ids(reply) == ["a", "b"]
    assert reply.degraded is not None
    assert reply.degraded.reason == "unknown_user"
    assert not reply.context.stored


def test_a_never_seen_visitor_gets_personal_items_in_the_same_call(ask):
    reply = ask(context=inline("d"), k=1)
    assert ids(reply) == ["e"]
    assert reply.degraded is None
    assert reply.user_id is None


def test_an_unknown_user_with_an_inline_history_is_not_degraded(ask):
    reply = ask(user_id="nobody", context=inline("d"), k=1)
    assert ids(reply) == ["e"]
    assert reply.degraded is None
    assert not reply.context.stored


def test_an_inline_history_comes_after_the_stored_one(ask, happen, service):
    happen(("ann", "a"))
    ask(user_id="ann", context=inline("d"))
    row = service.ranker.rows[-1]
    assert row.history_items == ("a", "d")
    assert row.seen_items == ("a", "d")
    assert row.seen_counts == (1, 1)
    assert row.seen_last == row.history_times
    assert row.event_count == 2
    assert row.history_times[1] == NOW
    assert row.last_event_at == NOW


def test_where_items_do_not_repeat_only_the_first_touch_counts(ask, happen, service):
    happen(("ann", "a"))
    ask(user_id="ann", context=inline("a", "d", "d"))
    assert service.ranker.rows[-1].history_items == ("a", "d")


def test_where_items_repeat_inline_events_add_to_the_stored_counts(happen, service):
    happen(("ann", "a"), ("ann", "b"))
    groceries = WorkspaceSchema(name="groceries", repeats=True)
    sent = InlineContext.model_validate(inline("b", "d", "d"))
    row = resolve("ann", sent, service.contexts, groceries, NOW).row
    assert row.seen_items == ("a", "b", "d")
    assert row.seen_counts == (1, 2, 2)
    assert row.seen_last == (row.history_times[0], NOW, NOW)


def test_inline_events_are_taken_in_the_order_of_their_times(ask, service):
    history = [
        {"item_id": "a", "occurred_at": "2020-01-02T00:00:00Z"},
        {"item_id": "b", "occurred_at": "2020-01-01T23:00:00-02:00"},
        {"item_id": "c", "occurred_at": "2020-01-01T00:00:00Z"},
    ]
    ask(context={"history": history})
    row = service.ranker.rows[-1]
    assert row.history_items == ("c", "a", "b")
    assert row.history_times == (1_577_836_800_000_000, 1_577_923_200_000_000, 1_577_926_800_000_000)


def test_a_long_inline_history_keeps_its_newest_200_events_and_the_whole_seen_set(ask, service):
    ask(context=inline(*[f"i{n}" for n in range(300)]))
    row = service.ranker.rows[-1]
    assert row.history_items == tuple(f"i{n}" for n in range(100, 300))
    assert len(row.history_times) == len(row.history_values) == 200
    assert (len(row.seen_items), row.event_count) == (300, 300)


def test_items_that_the_model_does_not_know_are_named(ask):
    reply = ask(context=inline("zzz", "d"), k=1)
    assert reply.ignored_items == ["zzz"]
    assert ids(reply) == ["e"]
    assert reply.degraded is None


@pytest.mark.parametrize("context", [inline("zzz"), inline(), {}])
def test_a_context_without_anything_the_model_knows_is_degraded(ask, context):
    reply = ask(context=context)
    assert reply.degraded is not None
    assert reply.degraded.reason == "empty_context"


def test_a_broken_feature_store_degrades_the_answer_and_does_not_refuse_it(ask, happen, service):
    happen(("ann", "c"))
    service.contexts.broken = True
    reply = ask(user_id="ann", k=2)
    assert ids(reply) == ["a", "b"]
    assert reply.degraded is not None
    assert reply.degraded.reason == "store_error"


def test_a_slow_feature_store_degrades_the_answer_with_a_reason_of_its_own(ask, service, monkeypatch):
    def too_slow(user_ids):
        raise StoreTimeoutError("no answer within the budget")

    monkeypatch.setattr(service.contexts, "online", too_slow)
    reply = ask(user_id="ann", k=2)
    assert ids(reply) == ["a", "b"]
    assert reply.degraded is not None
    assert reply.degraded.reason == "store_timeout"


def test_a_broken_store_still_uses_what_the_caller_knows_and_stays_degraded(ask, service):
    service.contexts.broken = True
    reply = ask(user_id="ann", context=inline("d"), k=1)
    assert ids(reply) == ["e"]
    assert reply.degraded is not None
    assert reply.degraded.reason == "store_error"


def test_seen_items_are_left_out_unless_asked_for(ask, happen):
    happen(("ann", "a"), ("ann", "b"))
    assert set(ids(ask(user_id="ann", k=6))) == {"c", "d", "e", "f"}
    assert set(ids(ask(user_id="ann", k=6, exclude_seen=False))) == set("abcdef")


def test_where_items_repeat_seen_ones_stay_by_default(ask, happen, service):
    service.ranker.repeats = True
    happen(("ann", "a"))
    assert "a" in ids(ask(user_id="ann", k=6))
    assert "a" not in ids(ask(user_id="ann", k=6, exclude_seen=True))


def test_excluded_items_are_left_out_and_unknown_ones_do_no_harm(ask):
    assert ids(ask(user_id="ann", k=2, exclude_items=["a", "a", "zzz"])) == ["b", "c"]


def test_too_few_items_left_is_said(ask, happen):
    happen(("ann", "a"))
    few = ask(user_id="ann", k=6)
    assert len(few.items) == 5
    assert few.shortfall is not None
    assert few.shortfall == "Only 5 items are left after taking out: the user's seen items."
    none = ask(user_id="ann", k=6, exclude_items=list("bcdef"))
    assert none.items == []
    assert none.shortfall is not None
    assert ask(user_id="ann", k=5).shortfall is None


def test_the_default_number_of_items_fits_a_small_catalogue(ask):
    assert len(ask(user_id="nobody").items) == 6


def test_an_item_without_a_title_has_none(ask):
    assert ask(user_id="ann", exclude_items=list("abcde"), k=1).items[0].title is None


def test_an_inline_profile_reaches_the_model_in_its_one_form(ask, service):
    ask(context={"profile": {"age": 31, "likes": ["jazz", 7], "job": None}})
    assert service.ranker.rows[-1].profile == {"age": 31.0, "likes": ("jazz", "7"), "job": None}


def test_without_a_champion_the_answer_is_503_with_what_to_do(http, service):
    service.models.model = None
    reply = http.post("/v1/recommendations", json={"user_id": "ann"})
    assert reply.status_code == 503
    assert reply.json()["code"] == "no_champion"
    assert "recsys train" in reply.json()["detail"]
    assert http.get("/readyz").status_code == 503
    assert http.get("/healthz").status_code == 200


def test_readiness_and_model_name_what_serves(http):
    assert http.get("/readyz").json()["model_version"] == "7"
    model = http.get("/v1/model").json()
    assert (model["model_version"], model["content_hash"], model["catalogue_size"]) == ("7", "c0ffee", 6)
    assert model["metrics"] == {"validation": {"ndcg@10": 0.25}}
    assert model["lineage"] == {"log_position": 12}


def test_the_model_tells_what_contexts_held_that_had_to_be_treated(http, service):
    counted = {"times": 0}
    service.models.model = replace(service.models.model, context_faults=lambda: counted)
    assert http.get("/v1/model").json()["context_faults"] == {"times": 0}
    counted["times"] = 2
    assert http.get("/v1/model").json()["context_faults"] == {"times": 2}


def test_a_reply_says_where_its_model_comes_from(ask, service):
    told = ask(user_id="ann").origin
    assert (told.content_hash, told.log_position, told.code_commit) == ("c0ffee", 12, None)
    lineage = {"data_fingerprint": "f1", "log_position": 13, "code_commit": "abc"}
    service.models.model = replace(service.models.model, lineage=lineage)
    told = ask(user_id="ann").origin
    assert (told.data_fingerprint, told.log_position, told.code_commit) == ("f1", 13, "abc")


@pytest.mark.parametrize(("k", "quick"), [(1, True), (1_000, True), (1_001, False)])
def test_a_long_list_is_not_written_by_the_event_loop(service, k, quick):
    embedded = replace(service.models.model.features, embedded=True)
    models = FixedModel(replace(service.models.model, features=embedded))
    recommending = Recommending(Experiment(Split(models)), Choice(NoItems()))
    found = recommending.quick_items(RecommendationRequest(user_id="ann", k=k), "r1")
    assert (found is not None) is quick
