"""What nobody may do to the service: nest without end, dawdle, come in all at once, or write its log for it."""

import asyncio
import json
import logging
import threading

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st
from starlette.exceptions import HTTPException

from recsys.serving.api import create_app
from recsys.serving.edge.admission import Admission
from recsys.serving.edge.bodies import MAX_DEPTH, MAX_PARTS, BodyShape, nesting
from recsys.serving.edge.draining import Draining
from recsys.serving.edge.metrics import SHARED_FOLDER
from recsys.serving.edge.protection import Protection
from recsys.serving.http.logs import CURRENT_REQUEST, formatter
from recsys.serving.http.middleware import BodyLimit
from recsys.serving.http.problems import Problem

JSON = {"Content-Type": "application/json"}


def app_of(service, **protection) -> FastAPI:
    return create_app(
        models=service.models,
        features=service.models.model.features,
        log=service.log,
        live=service.live,
        protection=Protection(**protection),
    )


def depth_of(value):
    if isinstance(value, dict):
        value = list(value.values())
    return 1 + max(map(depth_of, value), default=0) if isinstance(value, list) else 0


texts = st.text(st.sampled_from('[]{}"\\ab'), max_size=6)
trees = st.recursive(
    texts | st.integers(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=60,
)


@given(trees, st.integers(0, 60))
def test_nesting_is_measured_whatever_texts_hold(tree, more):
    for _ in range(more):
        tree = [tree, '"}]\\']
    measured = nesting(json.dumps(tree).encode())
    if measured > MAX_DEPTH or depth_of(tree) > MAX_DEPTH:
        assert measured == depth_of(tree)


@pytest.mark.parametrize(
    "text", [b"", b'"', b'"\\', b"[" * 100 + b'"' + b"]" * 50, b"]" * 100 + b"[" * 40, b"\xff\x00" * 99]
)
def test_what_is_no_json_is_measured_without_harm(text):
    assert nesting(text) <= 100


def test_a_body_may_nest_so_deep_and_no_deeper(http):
    def told(levels):
        text = '{"context": {"profile": {"job": ' + "[" * (levels - 3) + "]" * (levels - 3) + "}}}"
        return http.post("/v1/recommendations", content=text, headers=JSON)

    assert told(MAX_DEPTH).status_code == 422
    assert told(MAX_DEPTH + 1).status_code == 400
    assert f"deeper than {MAX_DEPTH}" in told(MAX_DEPTH + 1).json()["detail"]


def test_a_body_may_have_so_many_parts_and_no_more(http):
    def told(parts):
        text = '{"users": [' + ",".join(["[]"] * (parts - 2)) + "]}"
        return http.post("/v1/scores", content=text, headers=JSON)

    assert told(MAX_PARTS).status_code == 422
    assert told(MAX_PARTS + 1).status_code == 400
    assert f"more than {MAX_PARTS} arrays" in told(MAX_PARTS + 1).json()["detail"]


def test_a_body_that_does_not_arrive_in_time_is_given_up():
    async def never():
        await asyncio.Event().wait()

    async def reads(scope, receive, send):
        await receive()

    with pytest.raises(Exception, match="did not arrive") as caught:
        asyncio.run(BodyShape(reads, seconds=0.01)({"type": "http"}, never, None))
    assert caught.value.status_code == 408


def test_whoever_leaves_before_the_body_is_complete_is_not_answered_and_counts_as_gone(service):
    app, told = app_of(service), []
    messages = [{"type": "http.request", "body": b'{"user_id', "more_body": True}, {"type": "http.disconnect"}]

    async def receive():
        return messages.pop(0)

    async def send(message):
        told.append(message)

    with TestClient(app) as http:
        scope = {"type": "http", "method": "POST", "path": "/v1/recommendations", "query_string": b"", "headers": []}
        asyncio.run(app({**scope, "http_version": "1.1", "raw_path": b"/v1/recommendations"}, receive, send))
        counted = http.get("/metrics").text
    assert not told
    assert 'recsys_request_seconds_count{method="POST",route="/v1/recommendations",status="499"} 1.0' in counted
    assert "recsys_requests_in_flight 0.0" in counted


@pytest.mark.parametrize("announced", [b"\xb2", b"\xb9\xb2", b"", b"-1", b"1e9", b"+1"])
def test_a_length_that_is_no_number_is_left_to_what_comes(http, announced):
    headers = [(b"Content-Type", b"application/json"), (b"Content-Length", announced)]
    reply = http.post("/v1/recommendations", content=b'{"user_id": "ann", "k": 1}', headers=headers)
    assert reply.status_code == 200


def test_above_the_limit_requests_are_told_to_come_back_and_health_is_still_answered(service):
    entered, leave = threading.Barrier(3), threading.Event()
    rank = service.ranker.recommend

    def slow(*arguments, **options):
        entered.wait(10)
        leave.wait(10)
        return rank(*arguments, **options)

    service.ranker.recommend = slow
    with TestClient(app_of(service, max_in_flight=2)) as http:
        ask = lambda: statuses.append(http.post("/v1/recommendations", json={"user_id": "ann", "k": 1}).status_code)  # noqa: E731
        statuses = []
        callers = [threading.Thread(target=ask) for _ in range(2)]
        for caller in callers:
            caller.start()
        entered.wait(10)
        refused = http.get("/v1/model")
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
        assert Problem.model_validate(refused.json()).code == "overloaded"
        assert http.get("/readyz").status_code == 200
        leave.set()
        for caller in callers:
            caller.join()
        assert statuses == [200, 200]
        assert http.get("/v1/model").status_code == 200
        assert 'recsys_refused_requests_total{code="overloaded"} 1.0' in http.get("/metrics").text


def test_while_it_drains_it_is_not_ready_and_closes_connections_but_answers():
    draining = Draining()
    app = FastAPI()
    app.get("/readyz")(lambda: "ready")
    app.get("/healthz")(lambda: "alive")
    app.add_middleware(Admission, draining=draining, most=0, refused=lambda code: None, under_way=lambda change: None)
    with TestClient(app) as http:
        assert http.get("/readyz").status_code == 200
        draining.begun = True
        told = http.get("/readyz")
        assert (told.status_code, told.json()["code"]) == (503, "draining")
        assert told.headers["connection"] == "close"
        assert (http.get("/healthz").status_code, http.get("/healthz").headers["connection"]) == (200, "close")


EVIL = 'x"\n{"level": "CRITICAL", "message": "forged"}\r\u2028\x1b[2J\ud800'


def lines(records):
    return [formatter().format(record) for record in records]


def test_no_text_of_a_caller_can_pass_for_a_line_of_the_log():
    record = logging.LogRecord("recsys.x", logging.INFO, "f", 1, "user %s", (EVIL,), None)
    record.user = EVIL
    [line] = lines([record])
    assert line.isascii()
    assert line.isprintable()
    told = json.loads(line)
    assert told["message"] == f"user {EVIL}"
    assert (told["level"], told["logger"], told["user"]) == ("INFO", "recsys.x", EVIL)
    assert told["time"].endswith("+00:00")


def test_a_traceback_is_one_line_as_well():
    try:
        raise ValueError(EVIL)
    except ValueError:
        import sys

        record = logging.LogRecord("recsys.x", logging.ERROR, "f", 1, "failed", (), sys.exc_info())
    [line] = lines([record])
    assert line.isascii()
    assert line.isprintable()
    assert "ValueError" in json.loads(line)["exc_info"]


@pytest.mark.parametrize("header", ["X-Request-ID", "User-Agent", "Authorization"])
def test_headers_and_ids_of_callers_forge_nothing(service, caplog, header):
    caplog.set_level(logging.INFO, "recsys")
    evil = EVIL.encode("utf-8", "replace").replace(b"\n", b"\\n").replace(b"\r", b"")
    with TestClient(app_of(service, access_log=True), raise_server_exceptions=False) as http:
        http.post("/v1/recommendations", json={"user_id": 'x"\n{"level": 1}', "k": 1}, headers={header: evil})
        http.get('/v1/users/%0a{"level":"CRITICAL"}/x')
    told = [json.loads(line) for line in lines(caplog.records)]
    assert [(line["route"], line["status"]) for line in told if line["logger"] == "recsys.access"] == [
        ("/v1/recommendations", 200),
        (None, 404),
    ]
    assert "level" not in json.dumps([line["message"] for line in told])


def test_what_is_logged_in_the_course_of_a_request_carries_its_id(service, monkeypatch):
    seen = []
    rank = service.ranker.recommend
    monkeypatch.setattr(
        service.ranker, "recommend", lambda *a, **o: (seen.append(CURRENT_REQUEST.get()), rank(*a, **o))[1]
    )
    with TestClient(app_of(service)) as http:
        http.post("/v1/recommendations", json={"user_id": "ann", "k": 1}, headers={"X-Request-ID": "trace-me"})
    assert seen == ["trace-me"]


def test_the_access_log_names_routes_and_no_user(service, caplog):
    caplog.set_level(logging.INFO, "recsys.access")
    with TestClient(app_of(service, access_log=True)) as http:
        http.post("/v1/recommendations", json={"user_id": "ann-the-user", "k": 1})
    [line] = lines(caplog.records)
    told = json.loads(line)
    assert (told["method"], told["route"], told["status"], told["key"]) == ("POST", "/v1/recommendations", 200, None)
    assert told["degraded"] == "unknown_user"
    assert "ann-the-user" not in line


def test_counts_are_told_also_where_another_library_asks_for_shared_ones_later(service, tmp_path, monkeypatch):
    monkeypatch.setenv(SHARED_FOLDER, str(tmp_path))
    with TestClient(app_of(service)) as http:
        http.get("/v1/model")
        assert (
            'recsys_request_seconds_count{method="GET",route="/v1/model",status="200"} 1.0' in http.get("/metrics").text
        )


def test_metrics_tell_routes_refusals_degradation_the_model_and_the_log(service):
    with TestClient(app_of(service)) as http:
        http.post("/v1/events", json={"events": [{"user_id": "ann", "item_id": "a"}]})
        http.post("/v1/recommendations", json={"user_id": "nobody", "k": 1})
        http.post("/v1/recommendations", json={"user_id": "nobody", "k": 99})
        http.get("/v1/no/such/route")
        http.request("BREW", "/v1/model")
        told = http.get("/metrics").text.splitlines()
    for line in (
        'recsys_request_seconds_count{method="POST",route="/v1/events",status="200"} 1.0',
        'recsys_request_seconds_count{method="POST",route="/v1/recommendations",status="200"} 1.0',
        'recsys_request_seconds_count{method="POST",route="/v1/recommendations",status="422"} 1.0',
        'recsys_request_seconds_count{method="GET",route="none",status="404"} 1.0',
        'recsys_request_seconds_count{method="other",route="none",status="405"} 1.0',
        'recsys_degraded_replies_total{reason="unknown_user"} 1.0',
        'recsys_model_info{feature_service="context_12345678",model_version="7",workspace="films"} 1.0',
        "recsys_event_log_position 1.0",
        "recsys_fold_lag_events 0.0",
        "recsys_requests_in_flight 0.0",
    ):
        assert line in told


def test_a_defect_counts_as_a_500(service, monkeypatch):
    monkeypatch.setattr(service.ranker, "recommend", lambda *a, **o: 1 / 0)
    with TestClient(app_of(service), raise_server_exceptions=False) as http:
        http.post("/v1/recommendations", json={"user_id": "ann", "k": 1})
        assert 'route="/v1/recommendations",status="500"} 1.0' in http.get("/metrics").text


def test_bodies_under_way_have_one_bound_together_however_slowly_they_come():
    held, refused, leave = [], [], asyncio.Event()

    async def keeps(scope, receive, send):
        held.append(await receive())
        await leave.wait()

    async def ask(limit):
        async def receive():
            return {"type": "http.request", "body": b"x" * 40, "more_body": True}

        try:
            await limit({"type": "http", "path": "/", "headers": []}, receive, None)
        except HTTPException as error:
            refused.append(error)

    async def all_of_them():
        limit = BodyLimit(keeps, max_bytes=1_000, max_held=100)
        callers = [asyncio.create_task(ask(limit)) for _ in range(3)]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        leave.set()
        await asyncio.gather(*callers)
        await ask(limit)

    asyncio.run(all_of_them())
    assert [(error.status_code, error.headers) for error in refused] == [(503, {"Retry-After": "1"})]
    assert len(held) == 3, "what was held is given back"


VERY_MANY = 2_000
BLOATED = {
    "/v1/recommendations": [
        ({f"x{n}": 1 for n in range(VERY_MANY)}, ""),
        ({"user_id": "ann", "exclude_items": [1] * VERY_MANY}, "exclude_items[0]"),
        ({"user_id": "ann", "include_only": [""] * VERY_MANY}, "include_only[0]"),
        ({"context": {"profile": {f"x{n}": {} for n in range(VERY_MANY)}}}, "context.profile"),
    ],
    "/v1/scores": [
        ({"users": [{"items": [1] * VERY_MANY}] * 100}, "users[0].items[0]"),
        ({"users": [{"context": {"history": [{}] * 1_000}}] * 100}, "users[0].context.history[0].item_id"),
    ],
    "/v1/heads": [({"user_id": "ann", "items": [1] * 1_000}, "items[0]")],
}


@pytest.mark.parametrize(
    ("path", "body", "field"), [(path, *case) for path, cases in BLOATED.items() for case in cases]
)
def test_a_body_full_of_faults_is_not_judged_fault_by_fault(http, path, body, field):
    reply = http.post(path, json=body)
    assert reply.status_code == 422
    assert reply.json()["errors"][0]["field"] == field
    more = reply.json()["detail"].rpartition("(and ")[2].partition(" more)")[0]
    assert not more.isdigit() or int(more) < 1_000
