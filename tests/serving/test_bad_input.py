"""Whatever is sent, the answer is a problem document that names the field, never a 5xx and never an echo."""

import json

import pytest

from recsys.serving.http.problems import Problem

RECOMMEND, EVENTS = "/v1/recommendations", "/v1/events"


def problem(reply):
    assert reply.headers["content-type"] == "application/problem+json"
    found = Problem.model_validate(reply.json())
    assert found.status == reply.status_code
    assert found.request_id == reply.headers["x-request-id"]
    return found


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        (RECOMMEND, {"user_id": "ann", "k": 0}, "k"),
        (RECOMMEND, {"user_id": "ann", "k": -1}, "k"),
        (RECOMMEND, {"user_id": "ann", "k": 7}, "k"),
        (RECOMMEND, {"user_id": "ann", "k": 10**30}, "k"),
        (RECOMMEND, {"user_id": "ann", "k": "10"}, "k"),
        (RECOMMEND, {"user_id": "ann", "k": True}, "k"),
        (RECOMMEND, {"user_id": "ann", "k": None}, "k"),
        (RECOMMEND, {"user_id": "ann", "count": 3}, "count"),
        (RECOMMEND, {"user_id": 5}, "user_id"),
        (RECOMMEND, {"user_id": ""}, "user_id"),
        (RECOMMEND, {"user_id": "a\x00b"}, "user_id"),
        (RECOMMEND, {"user_id": "x" * 257}, "user_id"),
        (RECOMMEND, {}, "user_id"),
        (RECOMMEND, {"user_id": None, "context": None}, "user_id"),
        (RECOMMEND, {"user_id": "ann", "exclude_items": [None]}, "exclude_items[0]"),
        (RECOMMEND, {"user_id": "ann", "exclude_items": ["a"] * 10_001}, "exclude_items"),
        (RECOMMEND, {"user_id": "ann", "exclude_seen": 1}, "exclude_seen"),
        (RECOMMEND, {"context": {"history": [{"item_id": "a"}, {"id": "a"}]}}, "context.history[1].item_id"),
        (RECOMMEND, {"context": {"history": [{"item_id": "a"}] * 1_001}}, "context.history"),
        (RECOMMEND, {"context": {"history": [{"item_id": "a", "occurred_at": 5}]}}, "context.history[0].occurred_at"),
        (
            RECOMMEND,
            {"context": {"history": [{"item_id": "a", "occurred_at": "2020-01-01T00:00:00"}]}},
            "context.history[0].occurred_at",
        ),
        (
            RECOMMEND,
            {"context": {"history": [{"item_id": "a", "occurred_at": "2999-01-01T00:00:00Z"}]}},
            "context.history[0].occurred_at",
        ),
        (RECOMMEND, {"context": {"profile": {"shoe": 3}}}, "context.profile.shoe"),
        (RECOMMEND, {"context": {"profile": {"age": "old"}}}, "context.profile.age"),
        pytest.param(RECOMMEND, {"context": {"profile": {"age": 10**400}}}, "context.profile.age", id="a huge age"),
        (RECOMMEND, {"context": {"profile": {"job": ["a", "b"]}}}, "context.profile.job"),
        (RECOMMEND, {"context": {"profile": {"job": {"a": 1}}}}, "context.profile.job"),
        (RECOMMEND, {"context": {"profile": {"likes": [None]}}}, "context.profile.likes"),
        (RECOMMEND, {"context": {"profile": {"job": "x" * 10_001}}}, "context.profile.job"),
        (RECOMMEND, {"context": []}, "context"),
        (RECOMMEND, [], ""),
        (RECOMMEND, "text", ""),
        (
            RECOMMEND,
            {"context": {"history": [{"item_id": "a", "occurred_at": "2020-01-01T00:00:00+99:99"}]}},
            "context.history[0].occurred_at",
        ),
        (EVENTS, {"events": []}, "events"),
        (EVENTS, {"events": [{"user_id": "ann", "item_id": "a", "event": "a\x00b"}]}, "events[0].event"),
        (EVENTS, {"events": [{"user_id": "ann"}]}, "events[0].item_id"),
        (EVENTS, {"events": [{"user_id": "ann", "item_id": "a", "value": "5"}]}, "events[0].value"),
        (EVENTS, {"events": [{"user_id": "ann", "item_id": "a", "value": 1e300}]}, "events[0].value"),
        (EVENTS, {"events": [{"user_id": "ann", "item_id": "a"}] * 1_001}, "events"),
        (EVENTS, {"user_id": "ann", "item_id": "a"}, "events"),
    ],
)
def test_the_field_that_is_wrong_is_named(http, path, body, field):
    reply = http.post(path, json=body)
    assert reply.status_code == 422, reply.text
    found = problem(reply)
    assert field in [error.field for error in found.errors]
    assert found.detail


def test_the_bound_of_k_is_told(http):
    assert "1 to 6" in problem(http.post(RECOMMEND, json={"user_id": "ann", "k": 7})).detail
    assert "50000" in problem(http.post(RECOMMEND, json={"user_id": "ann", "k": 50_001})).detail


def test_a_profile_column_that_does_not_exist_is_answered_with_those_that_do(http):
    reply = http.post(RECOMMEND, json={"context": {"profile": {"shoe": 3}}})
    assert "age, job, likes" in problem(reply).errors[0].detail


@pytest.mark.parametrize("text", ["{", "", "nul", '{"user_id": "ann",}', "\xff"])
def test_what_is_not_json_is_said_to_be_so(http, text):
    reply = http.post(RECOMMEND, content=text.encode("latin-1"), headers={"Content-Type": "application/json"})
    assert reply.status_code in (400, 422)
    problem(reply)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_numbers_that_are_none_are_refused(http, number):
    text = f'{{"events": [{{"user_id": "ann", "item_id": "a", "value": {number}}}]}}'
    reply = http.post(EVENTS, content=text, headers={"Content-Type": "application/json"})
    assert reply.status_code in (400, 422)
    problem(reply)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ('{"context": {"profile": {"age": %s}}}', "context.profile.age"),
        ('{"user_id": "ann", "filters": [{"column": "year", "op": "<", "value": %s}]}', "filters[0].value"),
        ('{"user_id": "ann", "filters": [{"column": "year", "op": "in", "value": [1, %s]}]}', "filters[0].value"),
    ],
)
def test_one_complaint_names_the_field_that_is_no_number(http, body, field):
    reply = http.post(RECOMMEND, content=body % "NaN", headers={"Content-Type": "application/json"})
    assert [error.field for error in problem(reply).errors] == [field]


def test_nothing_of_what_was_sent_comes_back_in_a_complaint(http):
    written = "\uff12\uff10\uff12\uff10-01-01T00:00:00Z"  # digits, but none of RFC 3339's
    event = {"user_id": "ann", "item_id": "a", "occurred_at": written}
    reply = http.post(EVENTS, json={"events": [event]})
    assert reply.status_code == 422
    assert written not in reply.text


def test_no_reply_sends_a_caller_to_an_address_that_the_caller_named(http):
    reply = http.get("/v1/model/", headers={"Host": "evil.example"}, follow_redirects=False)
    assert reply.status_code == 404


@pytest.mark.parametrize(
    "text",
    [
        '{"user_id": "\\ud800"}',
        '{"\\ud800": 1, "user_id": "ann"}',
        '{"context": {"profile": {"\\ud800": 1}}}',
        '{"context": {"profile": {"job": "\\ud800"}}}',
        '{"user_id": "ann", "exclude_items": ["\\udfff"]}',
    ],
)
def test_half_a_character_does_not_break_the_answer(http, text):
    reply = http.post(RECOMMEND, content=text, headers={"Content-Type": "application/json"})
    assert reply.status_code == 422, reply.text
    problem(reply)


def test_deep_nesting_is_refused(http):
    text = '{"context": {"profile": {"job": ' + "[" * 100_000 + "]" * 100_000 + "}}}"
    reply = http.post(RECOMMEND, content=text, headers={"Content-Type": "application/json"})
    assert reply.status_code in (400, 422)
    problem(reply)


def test_a_body_that_is_too_large_is_refused_announced_or_not(http):
    big = json.dumps({"events": "x" * 3_000_000}).encode()
    announced = http.post(EVENTS, content=big, headers={"Content-Type": "application/json"})
    streamed = http.post(EVENTS, content=iter([big[:10], big[10:]]), headers={"Content-Type": "application/json"})
    for reply in (announced, streamed):
        assert reply.status_code == 413
        problem(reply)


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        (RECOMMEND, {"user_id": "ann", "include_only": ["i1234567"] * 1_000_000}, "include_only"),
        ("/v1/heads", {"user_id": "ann", "items": ["i1234567"] * 1_000_000}, "items"),
        ("/v1/scores", {"users": [{"user_id": "ann"}], "items": ["i1234567"] * 1_000_000}, "items"),
    ],
)
def test_a_million_candidates_are_refused_by_their_field(http, path, body, field):
    reply = http.post(path, json=body)
    assert reply.status_code == 422
    assert problem(reply).errors[0].field == field


@pytest.mark.parametrize(
    "encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be", "latin-1"]
)
@pytest.mark.parametrize("length", [1, 100_000])
def test_a_body_in_another_encoding_than_utf_8_is_refused_before_it_is_parsed(http, encoding, length):
    body = json.dumps({"user_id": "\u00e9" * length}, ensure_ascii=False).encode(encoding)
    reply = http.post(RECOMMEND, content=body, headers={"Content-Type": "application/json"})
    assert reply.status_code == 400
    assert "UTF-8" in problem(reply).detail


def test_a_byte_order_mark_of_utf_8_is_let_pass(http):
    body = json.dumps({"user_id": "ann", "k": 1}).encode("utf-8-sig")
    assert http.post(RECOMMEND, content=body, headers={"Content-Type": "application/json"}).status_code == 200


def test_depth_cannot_be_hidden_in_another_encoding(http):
    deep = "[" * 33 + "]" * 33
    body = json.dumps({"context": {"profile": {"job": "DEEP"}}}).replace('"DEEP"', deep)
    for encoding in ("utf-8", "utf-16"):
        assert (
            http.post(
                RECOMMEND, content=body.encode(encoding), headers={"Content-Type": "application/json"}
            ).status_code
            == 400
        )


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", None])
def test_a_body_that_does_not_say_it_is_json_is_refused(http, kind):
    """Browsers send such bodies across sites without asking first."""
    headers = {} if kind is None else {"Content-Type": kind}
    reply = http.post(EVENTS, content=b'{"events": [{"user_id": "ann", "item_id": "a"}]}', headers=headers)
    assert reply.status_code == 415
    problem(reply)


def test_unknown_paths_and_methods_are_problem_documents(http):
    assert problem(http.get("/v1/nothing")).code == "not_found"
    assert problem(http.get(RECOMMEND)).code == "method_not_allowed"


def test_what_was_sent_is_not_sent_back(http):
    reply = http.post(RECOMMEND, json={"user_id": "ann", "k": "secret-value"})
    assert "secret-value" not in reply.text


def test_a_defect_is_a_problem_document_without_its_inside(http, service, monkeypatch):
    def broken(*args, **kwargs):
        raise ZeroDivisionError("weights at 0x7f")

    monkeypatch.setattr(service.ranker, "recommend", broken)
    reply = http.post(RECOMMEND, json={"user_id": "ann"}, headers={"X-Request-ID": "trace-me"})
    assert reply.status_code == 500
    assert problem(reply).request_id == "trace-me"
    assert "0x7f" not in reply.text
