"""Whatever a request is refused with before its route sees it, the OpenAPI document says of every route that can."""

import asyncio

import httpx
import pytest
from fastapi.testclient import TestClient

from recsys.serving.api import create_app
from recsys.serving.edge.hosts import own_hosts
from recsys.serving.edge.keys import KeyStore
from recsys.serving.edge.protection import MAX_BODY_BYTES, Protection
from recsys.serving.edge.scopes import Scope
from tests.serving.conformance import check_refusal, document

JSON = {"Content-Type": "application/json"}
OPERATIONS = [(method.upper(), path) for path, methods in document()["paths"].items() for method in methods]
WITH_A_KEY = [(method, path) for method, path in OPERATIONS if path not in ("/healthz", "/readyz")]
BOUNDED = [(method, path) for method, path in WITH_A_KEY if path != "/metrics"]
WITH_A_BODY = [("POST", path) for path in ("/v1/recommendations", "/v1/scores", "/v1/heads", "/v1/events")]
WITH_A_BODY.append(("PUT", "/v1/items/{item_id}"))


@pytest.fixture
def protected(service):
    """The application, protected as asked."""

    def app(**protection):
        return create_app(
            models=service.models,
            features=service.models.model.features,
            log=service.log,
            live=service.live,
            item_writer=object(),
            delete_users=lambda user_ids: None,
            protection=Protection(**protection),
        )

    return app


def refused(app, method, path, **request):
    with TestClient(app, raise_server_exceptions=False) as http:
        return http.request(method, path.format(item_id="a", user_id="ann"), **request)


@pytest.mark.parametrize(("method", "path"), WITH_A_KEY)
def test_what_keys_refuse_is_documented(protected, tmp_path, method, path):
    keys = KeyStore(tmp_path / "keys.json")
    app = protected(keys_file=tmp_path / "keys.json")
    without = refused(app, method, path)
    assert without.status_code == 401
    check_refusal(without, method, path)

    wrong = Scope.WRITE if method == "GET" or path in ("/v1/recommendations", "/v1/scores", "/v1/heads") else Scope.READ
    other = refused(app, method, path, headers={"Authorization": f"Bearer {keys.create('other', [wrong])}"})
    assert other.status_code == 403
    check_refusal(other, method, path)

    key = {"Authorization": f"Bearer {keys.create('ops', [Scope.ADMIN], '1/d')}"}
    refused(app, "GET", "/v1/model", headers=key)
    above = refused(app, method, path, headers=key)
    assert above.status_code == 429
    check_refusal(above, method, path)


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_what_names_refuse_is_documented(protected, method, path):
    app = protected(hosts=own_hosts("127.0.0.1", ()))
    for status, hosts in ((421, ["evil.example"]), (400, ["localhost", "localhost"])):
        reply = refused(app, method, path, headers=[("Host", host) for host in hosts])
        assert reply.status_code == status
        check_refusal(reply, method, path)


@pytest.mark.parametrize(("method", "path"), BOUNDED)
def test_that_too_much_is_under_way_is_documented(protected, method, path):
    reply = refused(protected(max_in_flight=0), method, path)
    assert (reply.status_code, reply.json()["code"]) == (503, "overloaded")
    check_refusal(reply, method, path)


@pytest.mark.parametrize(("method", "path"), WITH_A_BODY)
def test_what_is_refused_of_bodies_is_documented(protected, method, path):
    app = protected()
    much = b'"' + b"x" * (8 * MAX_BODY_BYTES) + b'"'
    for status, request in (
        (400, {"content": b"{", "headers": JSON}),
        (400, {"content": b"[" * 99 + b"]" * 99, "headers": JSON}),
        (413, {"content": much, "headers": JSON}),
        (415, {"content": b"{}", "headers": {"Content-Type": "text/plain"}}),
    ):
        reply = refused(app, method, path, **request)
        assert reply.status_code == status
        check_refusal(reply, method, path)


@pytest.mark.parametrize(("method", "path"), WITH_A_BODY)
def test_that_a_body_did_not_arrive_is_documented(protected, method, path):
    async def a_part():
        yield b"{"
        await asyncio.Event().wait()

    async def ask():
        transport = httpx.ASGITransport(protected(body_seconds=0.01))
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as http:
            return await http.request(method, path.format(item_id="a"), content=a_part(), headers=JSON)

    reply = asyncio.run(ask())
    assert reply.status_code == 408
    check_refusal(reply, method, path)


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/v1/recommendations", {"user_id": "ann"}),
        ("POST", "/v1/scores", {"users": [{"user_id": "ann"}], "items": ["a"]}),
        ("POST", "/v1/heads", {"user_id": "ann"}),
        ("GET", "/v1/items/{item_id}/similar", None),
        ("GET", "/v1/model", None),
        ("GET", "/readyz", None),
    ],
)
def test_that_there_is_no_champion_is_documented(protected, service, method, path, body):
    app = protected()
    service.models.model = None
    reply = refused(app, method, path, json=body)
    assert (reply.status_code, reply.json()["code"]) == (503, "no_champion")
    check_refusal(reply, method, path)


def test_only_routes_that_refuse_so_say_so():
    told = document()["paths"]

    def saying(status):
        return {
            (method.upper(), path)
            for path, methods in told.items()
            for method, operation in methods.items()
            if str(status) in operation["responses"]
        }

    assert saying(401) == saying(403) == saying(429) == {*WITH_A_KEY}
    assert saying(503) >= {*BOUNDED}
    assert ("GET", "/metrics") not in saying(503)
    assert saying(408) == saying(413) == saying(415) == {*WITH_A_BODY}
    assert saying(400) == saying(421) == saying(431) == {*OPERATIONS}
