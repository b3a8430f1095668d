"""Who may do what: 401 without a key, 403 without the scope, 429 above the rate, and every route has a scope."""

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from recsys.errors import ConfigError
from recsys.serving.api import create_app
from recsys.serving.edge.access import asks_for_keys, is_loopback
from recsys.serving.edge.keys import KeyStore
from recsys.serving.edge.protection import Protection
from recsys.serving.edge.scopes import SCOPES, Scope
from recsys.serving.http.problems import Problem

ASK = {"user_id": "ann", "k": 1}
TELL = {"events": [{"user_id": "ann", "item_id": "a"}]}


@pytest.fixture
def keys(tmp_path):
    return KeyStore(tmp_path / "keys.json")


@pytest.fixture
def app(service, tmp_path) -> FastAPI:
    return create_app(
        models=service.models,
        features=service.models.model.features,
        log=service.log,
        live=service.live,
        protection=Protection(keys_file=tmp_path / "keys.json"),
    )


@pytest.fixture
def http(app):
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client


def bearer(token):
    return {"Authorization": f"Bearer {token}"}


def problem(reply):
    assert reply.headers["content-type"] == "application/problem+json"
    found = Problem.model_validate(reply.json())
    assert (found.status, found.request_id) == (reply.status_code, reply.headers["x-request-id"])
    return found


@pytest.mark.parametrize("header", [{}, {"Authorization": "Basic YTpi"}, {"Authorization": "Bearer "}])
def test_without_a_key_nothing_is_answered_and_the_challenge_says_what_is_missing(http, header):
    reply = http.post("/v1/recommendations", json=ASK, headers=header)
    assert (reply.status_code, problem(reply).code) == (401, "unauthorized")
    assert reply.headers["www-authenticate"] == 'Bearer realm="recsys"'


def test_a_wrong_key_is_told_apart_from_a_missing_one(http):
    reply = http.post("/v1/recommendations", json=ASK, headers=bearer("rsk_000000000000_x"))
    assert reply.status_code == 401
    assert 'error="invalid_token"' in reply.headers["www-authenticate"]


def test_a_key_opens_what_its_scope_says_and_nothing_else(http, keys, service):
    read, write = keys.create("shop", [Scope.READ]), keys.create("till", [Scope.WRITE])
    assert http.post("/v1/recommendations", json=ASK, headers=bearer(read)).status_code == 200
    assert http.post("/v1/events", json=TELL, headers=bearer(write)).status_code == 200
    for path, body, token, scope in (("/v1/events", TELL, read, "write"), ("/v1/recommendations", ASK, write, "read")):
        reply = http.post(path, json=body, headers=bearer(token))
        assert (reply.status_code, problem(reply).code) == (403, "forbidden")
        assert f'error="insufficient_scope", scope="{scope}"' in reply.headers["www-authenticate"]
    assert service.log.position() == 1


def test_a_revoked_key_opens_nothing_from_the_next_request_on(http, keys):
    token = keys.create("shop", [Scope.READ])
    assert http.get("/v1/model", headers=bearer(token)).status_code == 200
    keys.revoke("shop")
    assert http.get("/v1/model", headers=bearer(token)).status_code == 401


def test_above_its_rate_a_key_waits_and_others_do_not(http, keys):
    slow, other = keys.create("slow", [Scope.READ], "2/h"), keys.create("other", [Scope.READ], "2/h")
    assert [http.get("/v1/model", headers=bearer(slow)).status_code for _ in range(3)] == [200, 200, 429]
    reply = http.get("/v1/model", headers=bearer(slow))
    assert problem(reply).code == "too_many_requests"
    assert 1 <= int(reply.headers["retry-after"]) <= 3600
    assert http.get("/v1/model", headers=bearer(other)).status_code == 200


def test_whoever_supervises_the_process_needs_no_key(http):
    assert http.get("/healthz").status_code == 200
    assert http.get("/readyz").status_code == 200


@pytest.mark.parametrize("path", ["/docs", "/openapi.json", "/v1/nothing", "/v1/events/"])
def test_without_a_key_not_even_what_there_is_can_be_found_out(http, keys, path):
    assert http.get(path).status_code == 401


def test_what_does_not_exist_is_told_to_any_key(http, keys):
    token = keys.create("till", [Scope.WRITE])
    assert http.get("/v1/nothing", headers=bearer(token)).status_code == 404
    assert http.get("/v1/events", headers=bearer(token)).status_code == 405


def test_a_route_that_nobody_gave_a_scope_needs_an_administrator(app, http, keys):
    app.get("/forgotten")(lambda: "secret")
    read, admin = keys.create("shop", [Scope.READ, Scope.WRITE]), keys.create("ops", [Scope.ADMIN])
    assert http.get("/forgotten").status_code == 401
    assert http.get("/forgotten", headers=bearer(read)).status_code == 403
    assert http.get("/forgotten", headers=bearer(admin)).json() == "secret"


def test_every_route_has_a_scope_of_its_own(service):
    routes = {(method, route.path) for route in service.app.routes for method in route.methods - {"HEAD"}}
    assert routes <= set(SCOPES), "name them in recsys/serving/edge/scopes.py"
    assert {route for route, scope in SCOPES.items() if scope is None} == {("GET", "/healthz"), ("GET", "/readyz")}


def test_the_size_of_a_strangers_body_is_not_even_looked_at(http):
    assert http.post("/v1/events", content=b"{" * 3_000_000).status_code == 401


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_on_loopback_nobody_is_asked_unless_the_operator_wants_it(host, keys, tmp_path):
    assert is_loopback(host)
    assert not asks_for_keys(host, tmp_path / "keys.json")
    with pytest.raises(ConfigError, match="recsys keys create"):
        asks_for_keys(host, tmp_path / "keys.json", auth=True)
    keys.create("shop", [Scope.READ])
    assert asks_for_keys(host, tmp_path / "keys.json", auth=True)


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.7", "::", "example.org"])
def test_elsewhere_everybody_is_asked_unless_the_operator_says_so_loudly(host, keys, tmp_path):
    file = tmp_path / "keys.json"
    with pytest.raises(ConfigError, match="recsys keys create .* --without-auth"):
        asks_for_keys(host, file)
    keys.create("shop", [Scope.READ])
    assert asks_for_keys(host, file)
    with pytest.raises(ConfigError, match="--without-auth"):
        asks_for_keys(host, file, auth=False)
    assert not asks_for_keys(host, file, without_auth=True)
    with pytest.raises(ConfigError, match="contradict"):
        asks_for_keys(host, file, auth=True, without_auth=True)
