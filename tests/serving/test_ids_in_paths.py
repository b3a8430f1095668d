"""An id in a path is the one that was written, or the request is refused by the name of its place."""

from urllib.parse import unquote

import pytest
from fastapi.testclient import TestClient

from recsys.serving.http.problems import Problem

ROUTES = [
    ("GET", "/v1/items/{}/similar", "item_id"),
    ("PUT", "/v1/items/{}", "item_id"),
    ("DELETE", "/v1/items/{}", "item_id"),
    ("GET", "/v1/users/{}/context", "user_id"),
    ("DELETE", "/v1/users/{}", "user_id"),
]
UNREADABLE = [
    "%ff",
    "m1%ff",
    "%C3",
    "%c3%28",
    "%ED%A0%80",
    "%F8%88%80%80%80",
    "%",
    "100%",
    "%2",
    "%zz",
    "%u00e9",
    "m1%",
    "\xe9",
    "\xc3\xa9",
]


@pytest.fixture
def asked(modelled):
    """Asks for a path as it stands, which no client would send, and hands it on as the server does."""
    app = modelled().http.app

    def ask(method, path):
        async def server(scope, receive, send):
            await app({**scope, "path": unquote(path), "raw_path": path.encode("latin-1")}, receive, send)

        return TestClient(server).request(method, "/", json={"available": False})

    return ask


@pytest.mark.parametrize(("method", "path", "field"), ROUTES)
@pytest.mark.parametrize("written", UNREADABLE)
def test_what_is_not_percent_encoded_utf_8_is_refused(asked, method, path, field, written):
    reply = asked(method, path.format(written))
    assert reply.status_code == 422, reply.text
    [error] = Problem.model_validate(reply.json()).errors
    assert error.field == field
    assert "percent-encoded UTF-8" in error.detail


@pytest.mark.parametrize(("method", "path", "field"), ROUTES)
@pytest.mark.parametrize("written", ["", "%00", "a%00b", "x" * 257])
def test_what_is_no_id_is_refused(asked, method, path, field, written):
    reply = asked(method, path.format(written))
    assert reply.status_code == 422, reply.text
    assert [error["field"] for error in reply.json()["errors"]] == [field]


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("a%2Fb", "a/b"),
        ("a%2fb", "a/b"),
        ("%2F", "/"),
        ("a%2Fcontext", "a/context"),
        ("context", "context"),
        ("%C3%A9", "é"),
        ("%EF%BF%BD", "\ufffd"),
        ("a+b%20c", "a+b c"),
        ("a%0Ab", "a\nb"),
        ("a%0A", "a\n"),
        ("100%25", "100%"),
        ("%2541", "%41"),
        ("a%3Fk=1%23", "a?k=1#"),
    ],
)
def test_an_id_is_what_was_written(asked, written, meant):
    reply = asked("GET", f"/v1/users/{written}/context")
    assert reply.status_code == 200, reply.text
    assert reply.json()["user_id"] == meant


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("DELETE", "/v1/users/ann/context", 405),
        ("PUT", "/v1/items/m1/similar", 405),
        ("DELETE", "/v1/items/m1/similar", 405),
        ("DELETE", "/v1/users/ann/b", 404),
        ("DELETE", "/v1/users/ann/", 404),
        ("GET", "/v1/items/m1/m2/similar", 404),
    ],
)
def test_a_plain_slash_belongs_to_no_id(asked, method, path, status):
    reply = asked(method, path)
    assert reply.status_code == status
    assert Problem.model_validate(reply.json()).status == status


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/v1/items/m1", "DELETE, PUT"),
        ("/v1/items/m1/similar", "GET"),
        ("/v1/users/ann", "DELETE"),
        ("/v1/model", "GET"),
    ],
)
def test_a_method_that_a_path_does_not_take_is_told_which_it_takes(asked, path, allowed):
    reply = asked("PATCH", path)
    assert (reply.status_code, reply.headers["allow"]) == (405, allowed)
