"""The client speaks the API and turns problems into one clear error."""

import httpx
import pytest

from recsys.serving.client import ServiceClient, ServiceError


@pytest.fixture
def client(http):
    made = ServiceClient("http://testserver")
    made._http = http
    return made


def test_it_recommends_for_users_and_visitors(client):
    assert len(client.recommend("ann", k=2)["items"]) == 2
    assert client.recommend(history=["d"], k=1)["items"][0]["item_id"] == "e"
    assert client.recommend("ann", k=1, exclude_items=["a"])["items"][0]["item_id"] == "b"


def test_it_posts_events_that_change_the_next_answer(client):
    acknowledged = client.post_events({"user_id": "ann", "item_id": "c"})
    assert acknowledged["log_sequence"] == 1
    assert client.recommend("ann", k=1)["items"][0]["item_id"] == "d"


def test_an_event_answers_a_reply_by_its_id(client, service):
    from recsys.events.outcomes import Outcomes

    reply = client.recommend("ann", k=1, surface="home")
    client.post_events({"user_id": "ann", "item_id": "a", "request_id": reply["request_id"]})
    assert Outcomes(service.log.path).since(0)["request_id"].to_list() == [reply["request_id"]]


def test_it_tells_which_model_answers(client):
    assert client.model()["model_version"] == client.ready()["model_version"] == "7"


def test_a_problem_becomes_an_error_with_its_status_and_document(client):
    with pytest.raises(ServiceError, match="k: The catalogue has 6 items") as caught:
        client.recommend("ann", k=99)
    assert caught.value.status == 422
    assert caught.value.problem["code"] == "invalid_request"


def test_no_answer_becomes_an_error_that_says_what_to_check():
    with ServiceClient("http://127.0.0.1:9") as client, pytest.raises(ServiceError, match="recsys serve") as caught:
        client.ready()
    assert caught.value.status == 0


def test_an_answer_that_is_no_problem_document_is_an_error_as_well():
    client = ServiceClient("http://proxy")
    client._http = httpx.Client(
        base_url="http://proxy", transport=httpx.MockTransport(lambda _: httpx.Response(502, text="Bad gateway"))
    )
    with pytest.raises(ServiceError, match="502 Bad gateway"):
        client.model()
