"""Filters, include_only, diversity and explanations over HTTP, answered by a real small model."""

from dataclasses import replace

import polars as pl
import pytest

from recsys.context.encoder import ContextEncoder
from recsys.data.availability import save_unavailable_items
from recsys.data.catalogue import Catalogue
from recsys.ranking.recommender import Recommender
from recsys.serving.answers import choosing

RECOMMEND = "/v1/recommendations"
CONTEXT = {"history": [{"item_id": item} for item in ("m1", "m5", "m9")]}


@pytest.fixture
def service(modelled):
    return modelled()


@pytest.fixture
def ask(service):
    return lambda **body: service.post(RECOMMEND, **{"context": CONTEXT, "k": 24, **body})


def ids(reply):
    return [item["item_id"] for item in reply["items"]]


def where(column, op, value):
    return {"column": column, "op": op, "value": value}


def test_only_items_that_meet_every_filter_come_in_the_models_order(ask, service):
    plain = ids(ask())
    reply = ask(filters=[where("genres", "contains", "Comedy"), where("year", ">=", 1990)])
    known = service.items.current().frame.rows_by_key("item_id", named=True, unique=True)
    fitting = [item for item in plain if "Comedy" in known[item]["genres"] and (known[item]["year"] or 0) >= 1990]
    assert ids(reply) == fitting
    assert 0 < len(fitting) < len(plain)
    assert "filters" in reply["shortfall"]


@pytest.mark.parametrize(
    "filters",
    [
        [where("year", ">", 1990), where("year", "<", 1990)],
        [where("studio", "=", "Nobody's")],
        [where("genres", "contains", "Western")],
    ],
)
def test_filters_that_nothing_meets_give_an_empty_list_and_the_reason(ask, filters):
    reply = ask(filters=filters)
    assert reply["items"] == []
    assert reply["shortfall"] == "No item that is available meets all filters."


def test_include_only_chooses_among_those_named(ask):
    assert set(ids(ask(include_only=["m2", "m3", "m1", "unheard-of", "m2"]))) == {"m2", "m3"}
    nothing = ask(include_only=[])
    assert nothing["items"] == []
    assert "include_only" in nothing["shortfall"]


@pytest.mark.parametrize(
    ("one", "field"),
    [
        (where("director", "=", "x"), "filters[1].column"),
        (where("year", "contains", 1), "filters[1].op"),
        (where("year", "like", 1), "filters[1].op"),
        (where("year", "=", "1990"), "filters[1].value"),
        (where("year", "=", True), "filters[1].value"),
        (where("year", "=", None), "filters[1].value"),
        (where("year", "in", [1990, None]), "filters[1].value"),
        (where("year", "in", 1990), "filters[1].value"),
        (where("year", "=", 10**400), "filters[1].value"),
        (where("studio", "=", "x" * 257), "filters[1].value"),
        (where("studio", "in", ["x"] * 1_001), "filters[1].value"),
        (where("studio", "=", {"a": 1}), "filters[1].value"),
        ({"column": "year", "op": "="}, "filters[1].value"),
        ({**where("year", "=", 1), "or": []}, "filters[1].or"),
        ("year >= 1990", "filters[1]"),
    ],
)
def test_a_filter_that_cannot_be_used_is_named(service, one, field):
    body = {"context": CONTEXT, "filters": [where("year", ">", 1990), one]}
    reply = service.http.post(RECOMMEND, json=body)
    assert reply.status_code == 422, reply.text
    assert reply.json()["errors"][0]["field"] == field


@pytest.mark.parametrize("diversity", [-0.01, 1.01, "0.5", True, None])
def test_diversity_outside_its_range_is_named(service, diversity):
    reply = service.http.post(RECOMMEND, json={"context": CONTEXT, "diversity": diversity})
    assert (reply.status_code, reply.json()["errors"][0]["field"]) == (422, "diversity")


def test_diversity_reorders_and_zero_does_not(ask):
    plain, zero, mixed = ask(k=8), ask(k=8, diversity=0), ask(k=8, diversity=0.9)
    assert zero["items"] == plain["items"]
    assert ids(mixed) != ids(plain)
    assert ids(mixed)[0] == ids(plain)[0]
    scores = {item["item_id"]: item["score"] for item in ask()["items"]}
    assert [item["score"] for item in mixed["items"]] == pytest.approx([scores[item] for item in ids(mixed)])


def test_explanations_add_up_and_without_the_top_history_item_the_score_falls(ask):
    reply = ask(k=6, explain=True)
    for item in reply["items"]:
        why = item["explanation"]
        assert sum(why["experts"].values()) == pytest.approx(item["score"], abs=1e-4)
        assert why["history"]
        top = why["history"][0]
        without = {"history": [event for event in CONTEXT["history"] if event["item_id"] != top["item_id"]]}
        [again] = ask(context=without, include_only=[item["item_id"]], k=1)["items"]
        assert again["score"] < item["score"]
        assert item["score"] - again["score"] == pytest.approx(top["contribution"], abs=1e-3)
        assert top["title"] == f"Film {top['item_id'][1:]}"


def test_nothing_is_explained_unasked(ask):
    assert all(item["explanation"] is None for item in ask()["items"])


def test_titles_and_filters_follow_an_import_at_the_next_request(ask, films):
    late = [where("year", ">=", 2020)]
    assert ids(ask(filters=late)) == []
    catalogue = Catalogue.load(films)
    newer = catalogue.items.with_columns(pl.col("year") + 30, title="T-" + pl.col("title"))
    replace(catalogue, items=newer).save(films)
    reply = ask(filters=late)
    assert len(ids(reply)) > 5
    assert {item["title"][:2] for item in reply["items"] if item["title"]} == {"T-"}


@pytest.mark.parametrize(
    ("asked", "reasons"),
    [
        ({"include_only": ["m1"]}, "what is not in include_only"),
        ({"exclude_items": ["m1"]}, "exclude_items"),
        ({"exclude_items": ["m1"], "include_only": []}, "exclude_items, what is not in include_only"),
        ({"filters": [where("year", ">", 2000)]}, "what filters and availability rule out"),
    ],
)
def test_a_shortfall_names_what_was_asked_for_and_nothing_else(ask, asked, reasons):
    assert ask(**asked, exclude_seen=False)["shortfall"].endswith(f"taking out: {reasons}.")


def test_items_that_are_not_available_do_not_come(ask, films):
    plain = ids(ask())
    save_unavailable_items(films, plain[:2])
    assert ids(ask()) == plain[2:]
    assert not {*plain[:2]} & {*ids(ask(filters=[where("year", ">", 0)]))}
    none = ask(include_only=plain[:2])
    assert none["items"] == []
    assert "not available" in none["shortfall"]


def test_more_filters_than_are_remembered_are_answered_all_the_same(ask, monkeypatch):
    monkeypatch.setattr(choosing, "_KEPT", 2)
    before = [ids(ask(filters=[where("year", ">", 1980 + n)])) for n in range(6)]
    assert [ids(ask(filters=[where("year", ">", 1980 + n)])) for n in range(6)] == before
    assert len({len(own) for own in before}) > 1


def test_another_model_with_other_items_gets_flags_of_its_own(ask, service):
    wanted = [where("year", ">", 1990)]
    before = ids(ask(filters=wanted))
    served = service.models.model
    recommender = served.ranker
    turned = ContextEncoder(tuple(reversed(recommender.vocabulary)), recommender.encoder.profile, 10)
    other = Recommender(recommender.model, turned, recommender.schema, recommender.calibration, "8")
    service.models.model = replace(served, ranker=other, vocabulary=frozenset([*other.vocabulary]), version="8")
    after = ids(ask(filters=wanted))
    assert {*after} == {*before}
    assert after != before
    service.models.model = served
    assert ids(ask(filters=wanted)) == before
