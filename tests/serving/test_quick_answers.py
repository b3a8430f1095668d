"""Which answers the event loop computes itself: none that has to read items or find out what filters leave."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import polars as pl
import pytest

from recsys.data.availability import save_unavailable_items
from recsys.data.catalogue import Catalogue
from recsys.ranking.recommender import Recommender
from recsys.serving.answers import choosing

RECOMMEND = "/v1/recommendations"
CONTEXT = {"history": [{"item_id": "m1"}]}
LATE = {"column": "year", "op": ">", "value": 1990}


@dataclass
class Watched:
    """A recommender that notes where it is asked: True on an event loop."""

    ranker: Recommender
    ranked: list[bool] = field(default_factory=list)
    flagged: list[bool] = field(default_factory=list)

    def recommend(self, *arguments: Any, **options: Any) -> Any:
        self.ranked.append(_on_a_loop())
        return self.ranker.recommend(*arguments, **options)

    def flags(self, item_ids: list[str]) -> np.ndarray:
        self.flagged.append(_on_a_loop())
        return self.ranker.flags(item_ids)


def _on_a_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


@pytest.fixture
def service(modelled):
    """One whose store is embedded, as that of a service on one machine is."""
    made = modelled()
    served = made.models.model
    embedded = replace(served.features, embedded=True)
    made.models.model = replace(served, ranker=Watched(served.ranker), features=embedded)
    return made


@pytest.fixture
def where(service):
    """Asks for a recommendation and says whether it was ranked on the event loop."""

    def ask(**body: object) -> bool:
        watched = service.models.model.ranker
        watched.ranked.clear()
        service.post(RECOMMEND, **{"context": CONTEXT, "k": 24, **body})
        [on_the_loop] = watched.ranked
        return on_the_loop

    return ask


def ids(service, **body):
    return [item["item_id"] for item in service.post(RECOMMEND, context=CONTEXT, k=24, **body)["items"]]


def test_a_plain_request_is_answered_by_the_loop(where):
    assert where()


def test_a_filter_that_is_new_is_not_and_one_that_is_remembered_is(where, service):
    assert not where(filters=[LATE])
    assert where(filters=[LATE])
    assert not where(filters=[{**LATE, "value": 1991}])
    assert service.models.model.ranker.flagged == [False, False]


def test_filters_of_many_values_are_not(where):
    many = [{"column": "year", "op": "in", "value": [float(n) for n in range(1_900, 2_010)]}]
    assert not where(filters=many)
    assert not where(filters=many)


def test_filters_that_leave_neither_few_items_nor_most_are_not(where, monkeypatch):
    monkeypatch.setattr(choosing, "_FEW_ITEMS", 5)
    for year, quick in ((1_979, True), (1_990, True), (1_996, False), (1_999, True)):
        asked = [{**LATE, "value": year}]
        where(filters=asked)
        assert where(filters=asked) is quick, year


def test_a_request_that_meets_a_change_of_availability_is_answered_in_a_thread_and_feels_it(where, service, films):
    best = ids(service)[0]
    save_unavailable_items(films, [best])
    assert not where()
    assert where()
    assert best not in ids(service)
    save_unavailable_items(films, [])
    assert not where()
    assert best in ids(service)


def test_the_very_request_that_meets_a_change_feels_it(service, films):
    best = ids(service)[0]
    save_unavailable_items(films, [best])
    assert best not in ids(service)


def test_what_filters_leave_is_still_known_after_a_change_of_availability(where, service, films):
    before = ids(service, filters=[LATE])
    save_unavailable_items(films, before[:1])
    assert ids(service, filters=[LATE]) == before[1:]
    assert where(filters=[LATE])
    assert len(service.models.model.ranker.flagged) == 2


def test_a_request_that_meets_other_attributes_is_answered_in_a_thread(where, films):
    catalogue = Catalogue.load(films)
    replace(catalogue, items=catalogue.items.with_columns(pl.col("year") + 30)).save(films)
    assert not where()
    assert where()


def test_an_answer_of_the_loop_reads_nothing_that_changes_while_it_is_made(service, films, monkeypatch):
    """The request came before the change, and the loop must not wait for the new items."""
    served, best = service.models.model, ids(service)[0]
    online = served.features.contexts.online
    read: list[object] = []

    def online_while_items_change(user_ids):
        save_unavailable_items(films, [best])
        monkeypatch.setattr(service.items._unavailable, "_read", lambda: read.append(_on_a_loop()) or frozenset([best]))
        return online(user_ids)

    monkeypatch.setattr(served.features.contexts, "online", online_while_items_change)
    service.post(RECOMMEND, user_id="ann", k=24)
    assert read == []
    assert best not in ids(service)
    assert read == [False]


def test_after_a_change_of_availability_the_items_themselves_are_not_read(service, films, monkeypatch):
    best, read = ids(service)[0], []
    read_parquet = pl.read_parquet
    monkeypatch.setattr(pl, "read_parquet", lambda path, **options: read.append(path) or read_parquet(path, **options))
    save_unavailable_items(films, [best])
    assert best not in ids(service, filters=[LATE])
    assert best not in ids(service)
    assert read == []
    films.items_file.touch()
    ids(service)
    assert read == [films.items_file]
