"""Behind Ray's proxy a reply has one id, a safe one, that of its body. The proxy is as Ray builds it, without Ray."""

import pytest
from fastapi.testclient import TestClient

from recsys.serving.http.proxied import middlewares

pytestmark = pytest.mark.slow  # it imports Ray


@pytest.fixture(scope="module")
def proxied():
    from ray.serve._private.http_util import _apply_middlewares

    return lambda app: TestClient(_apply_middlewares(app, middlewares()))


@pytest.mark.parametrize("offered", ["mine-1", "<script>", "x" * 129, "ä", ""])
@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/readyz", 200), ("POST", "/v1/recommendations", 422), ("GET", "/nowhere", 404)],
)
def test_one_safe_id_comes_back_and_the_body_has_it(proxied, http, offered, method, path, status):
    headers = {"X-Request-ID": offered.encode()}
    reply = proxied(http.app).request(method, path, json={"k": 0} if method == "POST" else None, headers=headers)
    assert reply.status_code == status
    [named] = reply.headers.get_list("x-request-id")
    assert reply.json()["request_id"] == named
    assert named == offered if offered == "mine-1" else len(named) == 32


def test_an_id_that_came_twice_goes_back_once(proxied, http):
    reply = proxied(http.app).get("/readyz", headers=[("X-Request-ID", "one"), ("X-Request-ID", "two")])
    assert reply.headers.get_list("x-request-id") == [reply.json()["request_id"]] == ["one"]


def test_what_the_proxy_refuses_itself_has_a_safe_id_as_well(proxied):
    async def refusing(scope, receive, send):
        await send({"type": "http.response.start", "status": 503, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    [named] = proxied(refusing).get("/", headers={"X-Request-ID": "<script>"}).headers.get_list("x-request-id")
    assert len(named) == 32
