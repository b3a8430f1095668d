"""An outcome goes to the reply that it names, else to the last list before it that holds the item, and to no other."""

from __future__ import annotations

import polars as pl
import pytest

from recsys.data.schema import EventMeaning
from recsys.evaluation.attribution import with_outcomes
from recsys.events.impressions import IMPRESSION_SCHEMA
from recsys.events.outcomes import OUTCOME_SCHEMA

LIST = ["a", "b", "c"]
PLAIN = EventMeaning()


def shown(*rows):
    """(request, at, user) or (request, at, user, items)."""
    full = [(request, at, user, (more or [LIST])[0]) for request, at, user, *more in rows]
    empty = {name: None for name in IMPRESSION_SCHEMA}
    made = [empty | {"request_id": r, "shown_at": at, "user_id": u, "item_ids": items} for r, at, u, items in full]
    return pl.DataFrame(made, schema=IMPRESSION_SCHEMA)


def happened(*rows):
    """(user, item, at) or (user, item, at, request) or (user, item, at, request, kind)."""
    full = [(user, item, at, *(*more, None, None)[:2]) for user, item, at, *more in rows]
    made = [(user, item, at, kind, 1.0, request) for user, item, at, request, kind in full]
    return pl.DataFrame(made, schema=OUTCOME_SCHEMA, orient="row")


def ranks(impressions, events, *, meaning=PLAIN, within=100):
    found = with_outcomes(impressions, events, meaning, within)
    return dict(zip(found["request_id"], found["rank"], strict=True))


def test_an_event_goes_to_the_reply_that_it_names_not_to_the_last_one():
    lists = shown(("r1", 10, "ann"), ("r2", 20, "ann"))
    assert ranks(lists, happened(("ann", "b", 30, "r1"))) == {"r1": 2, "r2": None}


def test_an_event_that_names_nothing_goes_to_the_last_list_before_it():
    lists = shown(("r1", 10, "ann"), ("r2", 20, "ann"), ("r3", 40, "ann"), ("other", 25, "bob"))
    found = with_outcomes(lists, happened(("ann", "c", 30)), PLAIN, 100)
    assert found["rank"].to_list() == [None, 3, None, None]
    assert found["named"].to_list() == [None, False, None, None]


def test_an_item_that_was_not_in_the_last_list_is_no_outcome_of_an_earlier_one():
    lists = shown(("r1", 10, "ann", ["x"]), ("r2", 20, "ann", ["y"]))
    assert ranks(lists, happened(("ann", "x", 30))) == {"r1": None, "r2": None}


def test_of_several_items_the_best_placed_counts():
    assert ranks(shown(("r1", 10, "ann")), happened(("ann", "c", 11), ("ann", "b", 12, "r1"))) == {"r1": 2}


@pytest.mark.parametrize(("at", "rank"), [(10, None), (11, 1), (110, 1), (111, None)])
def test_only_what_comes_after_it_and_in_time_counts(at, rank):
    assert ranks(shown(("r1", 10, "ann")), happened(("ann", "a", at))) == {"r1": rank}


def test_an_event_that_names_a_reply_may_carry_a_clock_that_is_slow_but_not_too_late():
    assert ranks(shown(("r1", 10, "ann")), happened(("ann", "a", 5, "r1"))) == {"r1": 1}
    assert ranks(shown(("r1", 10, "ann")), happened(("ann", "a", 111, "r1"))) == {"r1": None}


def test_nobody_answers_for_somebody_else():
    lists = shown(("r1", 10, "ann"), ("r2", 20, None))
    events = happened(("bob", "a", 30, "r1"), ("bob", "b", 30, "r2"), ("bob", "c", 30))
    assert ranks(lists, events) == {"r1": None, "r2": 2}, "a visitor may have logged in since"


def test_only_positive_events_are_outcomes():
    meaning = EventMeaning(positive=("buy",), negative=("return",))
    lists = shown(("r1", 10, "ann"), ("r2", 10, "bob"), ("r3", 10, "carl"))
    events = happened(("ann", "a", 11, None, "buy"), ("bob", "a", 11, "r2", "return"), ("carl", "a", 11, None, "view"))
    assert ranks(lists, events, meaning=meaning) == {"r1": 1, "r2": None, "r3": None}


def test_a_request_that_was_sent_again_counts_once_with_its_last_answer():
    lists = shown(("r1", 10, "ann", ["x"]), ("r1", 12, "ann"), ("r1", 12, "bob"))
    found = with_outcomes(lists, happened(("ann", "a", 13, "r1")), PLAIN, 100)
    assert found.select("user_id", "rank").rows() == [("ann", 1), ("bob", None)]


def test_an_empty_list_and_no_events_lead_to_nothing():
    assert ranks(shown(("r1", 10, "ann", [])), happened(("ann", "a", 11))) == {"r1": None}
    assert ranks(shown(("r1", 10, "ann")), happened()) == {"r1": None}
    assert ranks(shown(), happened(("ann", "a", 11))) == {}
