"""Items that are put and taken away: felt at the next request, by every service of the workspace, and kept."""

from dataclasses import replace
from urllib.parse import quote

import polars as pl
import pytest

from recsys.data.availability import unavailable_items
from recsys.data.catalogue import Catalogue
from recsys.errors import DataError
from recsys.events.catalogue_changes import CatalogueChanges
from recsys.serving.folder.live_items import LiveItems
from tests.serving.modelled import SCHEMA

CONTEXT = {"history": [{"item_id": "m1"}]}
WHOLE = {"title": "Changed", "year": 2020, "genres": ["Western", "Comedy"], "studio": "Ufa"}


@pytest.fixture
def service(modelled):
    return modelled()


@pytest.fixture
def other(service, modelled):
    """Another service of the same workspace, which runs already."""
    made = modelled()
    assert made.post("/v1/recommendations", context=CONTEXT)["items"]
    return made


def put(service, item_id, **body):
    reply = service.http.put(f"/v1/items/{quote(item_id, safe='')}", json=body)
    assert reply.status_code == 200, reply.text
    return reply.json()


def recommended(service, **body):
    items = service.post("/v1/recommendations", context=CONTEXT, k=24, **body)["items"]
    return {item["item_id"]: item["title"] for item in items}


def test_availability_is_felt_by_every_service_at_its_next_request_and_kept(service, other, films, modelled):
    assert "m4" in recommended(other)
    reply = put(service, "m4", available=False)
    assert (reply["available"], reply["scorable"], reply["attributes"]["title"]) == (False, True, "Film 4")
    assert "m4" not in recommended(service)
    assert "m4" not in recommended(other)
    assert "m4" not in recommended(modelled())
    assert put(other, "m4", available=True)["note"] is None
    assert "m4" in recommended(service)
    assert unavailable_items(films) == frozenset()


def test_new_attributes_are_used_by_filters_and_titles_at_the_next_request(service, other, films):
    western = [{"column": "genres", "op": "contains", "value": "Western"}]
    assert recommended(other, filters=western) == {}
    assert put(service, "m4", attributes=WHOLE)["attributes"] == {**WHOLE, "year": 2020.0}
    assert recommended(service, filters=western) == recommended(other, filters=western) == {"m4": "Changed"}
    stored = Catalogue.load(films).items
    assert stored.row(by_predicate=pl.col("item_id") == "m4", named=True) == {"item_id": "m4", **WHOLE, "year": 2020.0}
    assert stored.height == 25


def test_attributes_replace_all_and_leave_availability(service):
    put(service, "m4", available=False)
    reply = put(service, "m4", attributes={"title": "Only this"})
    assert reply["attributes"] == {"title": "Only this", "year": None, "genres": None, "studio": None}
    assert not reply["available"]
    assert put(service, "m4", attributes={}, available=True)["attributes"]["title"] is None


def test_an_item_without_training_is_kept_and_the_reply_says_that_it_cannot_be_scored(service, films):
    reply = put(service, "a/new one", attributes=WHOLE)
    assert (reply["item_id"], reply["in_catalogue"], reply["available"], reply["scorable"]) == (
        "a/new one",
        True,
        True,
        False,
    )
    assert "trained" in reply["note"]
    assert "a/new one" in Catalogue.load(films).items["item_id"]
    assert "a/new one" not in recommended(service)


def test_an_item_that_is_taken_away_does_not_come_until_it_is_put_again(service, other, films):
    reply = service.http.delete("/v1/items/m4")
    assert (reply.status_code, reply.json()["in_catalogue"], reply.json()["available"]) == (200, False, False)
    assert "m4" not in recommended(other)
    assert "m4" not in Catalogue.load(films).items["item_id"]
    assert service.http.delete("/v1/items/m4").status_code == 200
    assert put(other, "m4", attributes={"title": "Back"})["available"]
    assert recommended(service)["m4"] == "Back"


def test_what_nobody_knows_cannot_be_taken_away(service):
    assert service.http.delete("/v1/items/unheard-of").status_code == 404


@pytest.mark.parametrize(
    ("events", "concerned"), [([], False), ([{"user_id": "ann", "item_id": "m4"}], True)], ids=["unused", "used"]
)
def test_rows_are_outdated_where_categories_of_a_used_item_change(service, films, events, concerned):
    if events:
        service.post("/v1/events", events=events)
    put(service, "m4", available=False)
    put(service, "m4", attributes={**WHOLE, "genres": ["Horror"]})
    assert bool(CatalogueChanges(films.event_log).felt_by(["ann"], 0)) == concerned


def test_a_new_title_alone_outdates_no_rows(service, films):
    service.post("/v1/events", events=[{"user_id": "ann", "item_id": "m4"}])
    before = Catalogue.load(films).items
    own = before.filter(pl.col("item_id") == "m4").drop("item_id").row(0, named=True)
    put(service, "m4", attributes={**own, "title": "Another"}, available=False)
    assert CatalogueChanges(films.event_log).felt_by(["ann"], 0) == []


def test_the_users_of_the_catalogue_stay_as_they_are(service, films):
    users = pl.DataFrame({"user_id": ["ann"], "age": [31.0]}, schema=SCHEMA.users_frame_schema())
    replace(Catalogue.load(films), users=users).save(films)
    put(service, "m4", attributes=WHOLE)
    assert Catalogue.load(films).users.equals(users)


def test_a_damaged_catalogue_leaves_the_one_before_in_use_and_is_not_written_over(service, films):
    films.items_file.write_bytes(b"PAR1 no more")
    assert "m4" in recommended(service)
    reply = service.http.put("/v1/items/m4", json={"attributes": WHOLE})
    assert (reply.status_code, reply.json()["code"]) == (503, "not_stored")
    assert str(films.root) not in reply.text
    assert films.items_file.read_bytes() == b"PAR1 no more"
    assert CatalogueChanges(films.event_log).felt_by(["ann"], 0) == []


@pytest.mark.parametrize("content", [b"{", b"{}", b"[1]"])
def test_a_damaged_list_of_unavailable_items_is_named(films, content):
    films.unavailable_file.write_bytes(content)
    with pytest.raises(DataError, match=r"unavailable\.json"):
        LiveItems(films)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "attributes"),
        ({"available": None}, "attributes"),
        ({"available": "no"}, "available"),
        ({"attributes": {"director": "x"}}, "attributes.director"),
        ({"attributes": {"year": "1990"}}, "attributes.year"),
        ({"attributes": {"year": True}}, "attributes.year"),
        ({"attributes": {"title": ["a"]}}, "attributes.title"),
        ({"attributes": {"title": "x" * 10_001}}, "attributes.title"),
        ({"attributes": {"genres": [None]}}, "attributes.genres"),
        ({"attributes": {"genres": "\x00"}}, "attributes.genres"),
        ({"attributes": {"genres": {"a": 1}}}, "attributes.genres"),
        ({"attributes": [], "available": True}, "attributes"),
        ({"title": "x"}, "title"),
    ],
)
def test_what_is_wrong_is_named_and_nothing_is_stored(service, films, body, field):
    before = films.items_file.read_bytes()
    reply = service.http.put("/v1/items/m4", json=body)
    assert reply.status_code == 422, reply.text
    assert reply.json()["errors"][0]["field"] == field
    assert films.items_file.read_bytes() == before
