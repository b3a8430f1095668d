"""The clients speak the API, try again where that is harmless, and turn problems into one clear error."""

import asyncio
import json
import subprocess
import sys
from datetime import UTC, datetime
from typing import Required, get_args, get_origin, get_type_hints

import httpx
import pytest
from safetensors.numpy import load

from recsys.client import (
    AsyncClient,
    Client,
    DeletionReply,
    HeadsReply,
    ItemReply,
    ScoresReply,
    ServiceError,
    SimilarReply,
    UserContextReply,
    bodies,
)
from recsys.client.calls import plain
from recsys.data.conditions import Operator
from recsys.errors import ConfigError
from recsys.serving.answers.catalogue_requests import ItemRequest
from recsys.serving.answers.heads import HeadsRequest
from recsys.serving.answers.scoring import ScoredContext, ScoresRequest
from recsys.serving.messages import requests

EVENT = {"user_id": "ann", "item_id": "c"}


@pytest.fixture
def client(http):
    made = Client("http://testserver")
    made._http = http
    return made


class Scripted:
    """A service that gives these answers in turn and keeps what it was sent."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.requests = []

    def __call__(self, request):
        self.requests.append(request)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def client(self, **options):
        return Client("http://service", transport=httpx.MockTransport(self), **options)


def busy(status=503, wait="0"):
    return httpx.Response(status, json={"detail": "busy", "code": "overloaded"}, headers={"Retry-After": wait})


def fine(**more):
    return httpx.Response(200, json={"done": True, **more})


def test_it_recommends_for_users_and_visitors(client):
    assert len(client.recommend("ann", k=2).items) == 2
    assert client.recommend(history=["d"], k=1).items[0].item_id == "e"
    assert client.recommend("ann", k=1, exclude_items=["a"]).items[0].title == "Brazil"


def test_it_posts_events_that_change_the_next_answer(client):
    acknowledged = client.post_events(EVENT)
    assert acknowledged.log_sequence == 1
    assert client.recommend("ann", k=1).items[0].item_id == "d"


def test_an_event_answers_a_reply_by_its_id(client, service):
    from recsys.events.outcomes import Outcomes

    reply = client.recommend("ann", k=1, surface="home")
    client.post_events({"user_id": "ann", "item_id": "a", "request_id": reply.request_id})
    assert Outcomes(service.log.path).since(0)["request_id"].to_list() == [reply.request_id]


def test_it_tells_which_model_answers(client):
    assert client.model().model_version == client.ready().model_version == "7"
    assert client.health().status == "alive"


ROUTES = {
    ScoresReply: lambda client: client.scores({"users": [{"user_id": "ann"}], "items": ["m1"]}),
    HeadsReply: lambda client: client.heads({"user_id": "ann", "items": ["m1"]}),
    SimilarReply: lambda client: client.similar("m1", k=2),
    UserContextReply: lambda client: client.user_context("ann"),
    ItemReply: lambda client: client.put_item("m1", {"available": True}),
    DeletionReply: lambda client: client.delete_user("ann"),
}


@pytest.mark.parametrize("kind", ROUTES, ids=lambda kind: kind.__name__)
def test_every_route_has_a_reply_of_its_own(modelled, kind):
    app = modelled().http.app

    async def ask():
        async with AsyncClient("http://service", transport=httpx.ASGITransport(app)) as client:
            return await ROUTES[kind](client)

    reply = asyncio.run(ask())
    assert type(reply) is kind
    assert reply.model_version == "7"


def test_an_item_that_is_taken_away_is_described(modelled):
    client = Client("http://testserver")
    client._http = modelled().http
    assert not client.delete_item("m1").available


def test_the_asynchronous_one_says_the_same(service):
    async def ask():
        async with AsyncClient("http://service", transport=httpx.ASGITransport(service.app)) as client:
            replies = await asyncio.gather(*(client.recommend(f"user{n}", k=1) for n in range(5)))
            events = await client.post_events(EVENT)
            with pytest.raises(ServiceError, match="k: The catalogue has 6 items"):
                await client.recommend("ann", k=99)
            return [reply.user_id for reply in replies], events.accepted, (await client.model()).model_version

    assert asyncio.run(ask()) == ([f"user{n}" for n in range(5)], 1, "7")


def test_a_problem_becomes_an_error_with_its_status_and_document(client):
    with pytest.raises(ServiceError, match="k: The catalogue has 6 items") as caught:
        client.recommend("ann", k=99)
    assert caught.value.status == 422
    assert caught.value.problem["code"] == "invalid_request"


def test_no_answer_becomes_an_error_that_says_what_to_check():
    with (
        Client("http://127.0.0.1:9", attempts=1) as client,
        pytest.raises(ServiceError, match="recsys serve") as caught,
    ):
        client.model()
    assert caught.value.status == 0


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(500, text="Bad"),
        httpx.Response(200, text="<html>"),
        httpx.Response(200, json=[1]),
        httpx.Response(200, json={"another": "service"}),
    ],
)
def test_an_answer_that_is_no_document_of_the_service_is_an_error_as_well(answer):
    with pytest.raises(ServiceError, match=f"{answer.status_code}"):
        Scripted(answer).client().model()


@pytest.mark.parametrize(
    "failure", [busy(), busy(429), busy(502), httpx.ConnectError("gone"), httpx.ReadTimeout("slow")]
)
def test_a_passing_failure_is_tried_again(failure):
    service = Scripted(failure, fine())
    assert service.client().call("GET", "/v1/anything") == {"done": True}
    assert len(service.requests) == 2


def test_it_gives_up_after_so_many_attempts_and_tells_the_last_problem():
    service = Scripted(busy(), busy(), busy())
    with pytest.raises(ServiceError, match="503 busy"):
        service.client(attempts=3).heads({"user_id": "ann"})
    assert service.answers == []


def test_a_deletion_is_waited_for_and_not_sent_again_while_the_first_may_go_on():
    for failure in (httpx.ReadTimeout("slow"), busy(504)):
        service = Scripted(failure, fine())
        with pytest.raises(ServiceError):
            service.client(timeout=1.0).delete_user("ann")
        assert len(service.requests) == 1
    waits = service.requests[0].extensions["timeout"]
    assert waits["read"] > 600
    assert waits["connect"] == 1.0


@pytest.mark.parametrize("failure", [busy(), httpx.ConnectError("gone"), httpx.RemoteProtocolError("it was killed")])
def test_a_deletion_that_has_ended_is_sent_again(failure):
    reply = {"request_id": "r", "model_version": "1", "feature_service": "c", "degraded": None, "user_id": "ann"}
    service = Scripted(failure, httpx.Response(200, json={**reply, "events": 3, "log_sequence": 9}))
    assert service.client().delete_user("ann").events == 3
    assert len(service.requests) == 2


MOMENT = datetime(2026, 5, 1, 18, 30, tzinfo=UTC)


def test_inline_events_carry_their_times(client, service):
    client.recommend(history=["a", {"item_id": "d", "occurred_at": MOMENT}], profile={"likes": ("x", "y")}, k=1)
    row = service.ranker.rows[-1]
    assert dict(zip(row.history_items, row.history_times, strict=True))["d"] == int(MOMENT.timestamp() * 1_000_000)
    assert row.profile["likes"] == ("x", "y")


def test_scores_and_heads_take_contexts_with_times(modelled):
    client = Client("http://testserver")
    client._http = modelled().http
    context = {"history": [{"item_id": "m1", "occurred_at": MOMENT}]}
    [user] = client.scores({"users": [{"context": context}], "items": ("m2", "m3")}).users
    assert (user.item_ids, user.context.events) == (["m2", "m3"], 1)
    assert client.heads({"context": context, "items": ["m2"]}).context.events == 1


@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_head_comes_as_a_safetensors_file(modelled, asynchronous):
    app, body = modelled().http, {"user_id": "ann", "items": ["m2"]}

    async def ask():
        async with AsyncClient("http://service", transport=httpx.ASGITransport(app.app)) as client:
            return await client.heads_file(body)

    client = Client("http://testserver")
    client._http = app
    file = asyncio.run(ask()) if asynchronous else client.heads_file(body)
    told = client.heads(body)
    tensors = load(file)
    assert tensors["gains"].tolist() == pytest.approx(told.tensors.gains)
    assert set(tensors) == {name for name, own in told.tensors.model_dump().items() if own is not None}


def test_json_is_no_safetensors_file():
    with pytest.raises(ServiceError, match="200"):
        Scripted(fine()).client().heads_file({"user_id": "ann"})


def required(body):
    hints = get_type_hints(body, include_extras=True)
    return {name for name, kind in hints.items() if body.__total__ or get_origin(kind) is Required}


@pytest.mark.parametrize(
    ("body", "model"),
    [
        (bodies.Event, requests.NewEvent),
        (bodies.InlineEvent, requests.InlineEvent),
        (bodies.InlineContext, requests.InlineContext),
        (bodies.Filter, requests.Filter),
        (bodies.ScoredContext, ScoredContext),
        (bodies.ScoresBody, ScoresRequest),
        (bodies.HeadsBody, HeadsRequest),
        (bodies.ItemBody, ItemRequest),
    ],
)
def test_what_the_client_takes_is_what_the_service_takes(body, model):
    assert set(body.__annotations__) == set(model.model_fields)
    assert required(body) == {name for name, field in model.model_fields.items() if field.is_required()}


def test_the_options_of_recommendations_are_the_services_fields():
    others = {"user_id", "context", "k"}
    assert set(bodies.RecommendOptions.__annotations__) | others == set(requests.RecommendationRequest.model_fields)
    assert get_args(get_type_hints(bodies.Filter)["op"]) == get_args(Operator)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422, 500])
def test_what_will_not_pass_is_not_tried_again(status):
    service = Scripted(busy(status), fine())
    with pytest.raises(ServiceError):
        service.client().user_context("ann")
    assert len(service.requests) == 1


def test_what_could_count_twice_is_not_sent_twice():
    service = Scripted(httpx.ReadTimeout("slow"), fine())
    with pytest.raises(ServiceError):
        service.client().call("POST", "/v1/anything", {})
    assert len(service.requests) == 1
    assert plain("put", "/v1/items/a").repeatable


def test_a_retry_of_events_carries_the_same_ids_so_that_nothing_counts_twice(service, http):
    sent = []

    def losing_the_first_reply(request):
        sent.append(json.loads(request.content))
        reply = http.post("/v1/events", content=request.content, headers={"Content-Type": "application/json"})
        if len(sent) == 1:
            raise httpx.ReadTimeout("the reply was lost")
        return httpx.Response(reply.status_code, content=reply.content)

    client = Client("http://service", transport=httpx.MockTransport(losing_the_first_reply))
    told = client.post_events(EVENT, EVENT)
    assert sent[0] == sent[1]
    assert (told.accepted, told.duplicates) == (0, 2)
    assert service.log.position() == 2


def test_ids_of_the_callers_own_are_kept():
    service = Scripted(busy(422))
    with pytest.raises(ServiceError):
        service.client().post_events({**EVENT, "event_id": "mine"}, EVENT)
    mine, made = json.loads(service.requests[0].content)["events"]
    assert mine["event_id"] == "mine"
    assert len(made["event_id"]) == 32


def test_the_service_says_how_long_to_wait_and_is_believed_within_reason():
    with pytest.raises(ServiceError) as caught:
        Scripted(busy(429, wait="7")).client(attempts=1).model()
    assert caught.value.retry_after == 7


def test_the_key_goes_with_every_request_and_into_no_message():
    service = Scripted(busy(403))
    with pytest.raises(ServiceError) as caught:
        service.client(key="rsk_1_secret").model()
    assert service.requests[0].headers["authorization"] == "Bearer rsk_1_secret"
    assert "secret" not in str(caught.value)


def test_a_newer_service_may_say_more_than_the_client_knows(http):
    answer = http.post("/v1/recommendations", json={"user_id": "ann", "k": 1}).json()
    answer["news"] = answer["items"][0]["news"] = 1
    assert Scripted(httpx.Response(200, json=answer)).client().recommend("ann").items[0].item_id == "a"


@pytest.mark.parametrize("odd", ["a/b", "../x", "a?b#c", "é %", "..."])
def test_an_id_stays_one_part_of_the_path(odd):
    service = Scripted(*[busy(422)] * 5)
    client = service.client()
    asks = (client.user_context, client.delete_user, lambda i: client.put_item(i, {}), client.delete_item)
    for ask in (*asks, lambda item_id: client.similar(item_id, k=3)):
        with pytest.raises(ServiceError):
            ask(odd)
    paths = [request.url.raw_path.decode().partition("?")[0] for request in service.requests]
    assert [path.count("/") for path in paths] == [4, 3, 3, 3, 4]
    with pytest.raises(ConfigError):
        client.delete_user("..")
    assert [request.method for request in service.requests] == ["GET", "DELETE", "PUT", "DELETE", "GET"]
    assert service.requests[4].url.query == b"k=3"


@pytest.mark.slow
def test_importing_the_client_is_light():
    heavy = {"torch", "fastapi", "starlette", "uvicorn", "polars", "pandas", "numpy", "feast", "mlflow", "ray"}
    program = f"import sys, recsys.client; print(sorted({{n.split('.')[0] for n in sys.modules}} & {heavy}))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
