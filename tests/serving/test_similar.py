"""Items like an item, over HTTP: by the trained vectors, available ones only."""

from urllib.parse import quote

import pytest


@pytest.fixture
def service(modelled):
    return modelled()


def path(item_id):
    return f"/v1/items/{quote(item_id, safe='')}/similar"


def test_the_nearest_vectors_come_first_and_the_item_itself_does_not(service):
    reply = service.http.get(path("m4"), params={"k": 23}).json()
    vectors = service.recommender.model.network.unit_items[1:]
    cosines = (vectors @ vectors[4]).tolist()
    order = sorted((n for n in range(24) if n != 4), key=lambda n: -cosines[n])
    assert [item["item_id"] for item in reply["items"]] == [f"m{n}" for n in order]
    assert [item["similarity"] for item in reply["items"]] == pytest.approx([cosines[n] for n in order])
    assert (reply["item_id"], reply["title"], reply["items"][0]["rank"]) == ("m4", "Film 4", 1)
    assert "vectors" in reply["measure"]


def test_items_that_are_not_available_are_no_neighbours(service):
    before = [item["item_id"] for item in service.http.get(path("m4")).json()["items"]]
    service.http.put(f"/v1/items/{before[0]}", json={"available": False})
    after = [item["item_id"] for item in service.http.get(path("m4")).json()["items"]]
    assert after[:9] == before[1:]


@pytest.mark.parametrize("item_id", ["unheard-of", "untrained", "a/b"])
def test_of_an_item_that_the_model_does_not_know_nothing_is_like_it(service, item_id):
    reply = service.http.get(path(item_id))
    assert (reply.status_code, reply.json()["code"]) == (404, "not_found")


@pytest.mark.parametrize(
    ("item_id", "query", "field"),
    [
        ("m4", {"k": 0}, "k"),
        ("m4", {"k": "many"}, "k"),
        ("m4", {"k": 24}, "k"),
        ("m4", {"size": 3}, "size"),
        ("x" * 257, {}, "item_id"),
        ("a\x00b", {}, "item_id"),
    ],
)
def test_what_is_wrong_is_named(service, item_id, query, field):
    reply = service.http.get(path(item_id), params=query)
    assert (reply.status_code, reply.json()["errors"][0]["field"]) == (422, field)
