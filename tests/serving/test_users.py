"""What is known of a user, and how it is forgotten."""

import sqlite3
from urllib.parse import quote

import pytest

from recsys.errors import FeatureStoreError, LeaseError

CONTEXT, USER = "/v1/users/{}/context", "/v1/users/{}"


@pytest.fixture
def service(modelled):
    return modelled()


def happen(service, user, *items):
    sent = [{"user_id": user, "item_id": item, "occurred_at": "2026-05-01T10:00:00.5Z"} for item in items]
    assert service.http.post("/v1/events", json={"events": sent}).status_code == 200


@pytest.mark.parametrize(("user", "written"), [("ann", "ann"), ("a/b c", "a%2Fb%20c"), ("context", "context")])
def test_a_context_is_what_is_known_of_a_user(service, user, written):
    happen(service, user, "m1", "m23", "elsewhere")
    reply = service.http.get(CONTEXT.format(written)).json()
    assert (reply["user_id"], reply["known"], reply["degraded"], reply["events"]) == (user, True, None, 3)
    assert [event["item_id"] for event in reply["history"]] == ["m1", "m23", "elsewhere"]
    assert [event["title"] for event in reply["history"]] == ["Film 1", None, None]
    assert reply["history"][0]["occurred_at"] == reply["last_event_at"] == "2026-05-01T10:00:00.500000Z"
    assert reply["seen_items"] == ["m1", "m23", "elsewhere"]
    assert reply["log_sequence"] == 3
    assert (reply["model_version"], reply["feature_service"]) == ("7", "context_12345678")


def test_of_an_unknown_user_nothing_is_known(service):
    reply = service.http.get(CONTEXT.format("nobody"))
    assert reply.status_code == 200
    assert (reply.json()["known"], reply.json()["history"]) == (False, [])
    assert reply.json()["degraded"]["reason"] == "unknown_user"


def test_a_broken_store_is_said(service):
    service.models.current().features.contexts.broken = True
    assert service.http.get(CONTEXT.format("ann")).json()["degraded"]["reason"] == "store_error"


def test_a_deleted_user_is_unknown_at_once_and_deleting_again_changes_nothing(service):
    happen(service, "ann", "m1", "m2")
    happen(service, "bob", "m3")
    reply = service.http.delete(USER.format("ann"))
    assert reply.status_code == 200
    assert (reply.json()["user_id"], reply.json()["events"]) == ("ann", 2)
    assert not service.http.get(CONTEXT.format("ann")).json()["known"]
    assert service.http.get(CONTEXT.format("bob")).json()["known"]
    assert service.http.delete(USER.format("ann")).json()["events"] == 0


@pytest.mark.parametrize(
    ("trouble", "code"),
    [
        (LeaseError("held by a secret"), "not_deleted"),
        (FeatureStoreError("a secret"), "not_deleted_everywhere"),
        (OSError("a secret disk is full"), "not_deleted_everywhere"),
        (sqlite3.OperationalError("a secret is locked"), "not_deleted_everywhere"),
    ],
)
def test_a_deletion_that_is_not_complete_says_so_and_can_be_sent_again(service, trouble, code):
    happen(service, "ann", "m1")
    service.deleting.trouble = trouble
    reply = service.http.delete(USER.format("ann"))
    assert (reply.status_code, reply.json()["code"]) == (503, code)
    assert reply.headers["retry-after"]
    assert "secret" not in reply.text
    service.deleting.trouble = None
    assert service.http.delete(USER.format("ann")).json()["events"] == 1


def test_a_user_is_deleted_also_while_there_is_no_model(service):
    happen(service, "ann", "m1")
    service.models.model = None
    reply = service.http.delete(USER.format("ann")).json()
    assert (reply["events"], reply["model_version"]) == (1, None)


@pytest.mark.parametrize("method", ["get", "delete"])
@pytest.mark.parametrize("user", ["x" * 257, "a%00b"])
def test_an_id_that_cannot_be_one_is_refused(service, method, user):
    reply = getattr(service.http, method)((CONTEXT if method == "get" else USER).format(user))
    assert (reply.status_code, reply.json()["errors"][0]["field"]) == (422, "user_id")


@pytest.mark.parametrize("odd", ["ann\n", "\nann", "a\nb", "ann/", "ann/context"])
def test_a_user_with_an_odd_id_is_found_and_forgotten_and_nobody_else(service, odd):
    for user in ("ann", odd):
        service.http.post("/v1/events", json={"events": [{"user_id": user, "item_id": "m1"}]})
    path = f"/v1/users/{quote(odd, safe='')}"
    assert service.http.get(f"{path}/context").json()["user_id"] == odd
    assert service.http.delete(path).json()["user_id"] == odd
    assert service.log.read()["user_id"].to_list() == ["ann"]
