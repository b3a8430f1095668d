"""The order of a user's events, ties included, and the moments that tell them apart."""

from __future__ import annotations

import polars as pl
import pytest

from recsys.data.schema import EventMeaning, WorkspaceSchema
from recsys.events.log import EventLog
from recsys.events.ordering import INTERACTION_SCHEMA, interactions, positions_back

FILMS = WorkspaceSchema(name="films")
GROCERIES = WorkspaceSchema(name="groceries", repeats=True)


@pytest.fixture
def logged(tmp_path, canonical):
    log = EventLog(tmp_path / "log.sqlite")

    def read(*rows):
        log.append(canonical(*rows))
        return log.read()

    return read


def test_ties_in_time_go_by_sequence_and_get_moments_of_their_own(logged):
    ordered = interactions(logged(("u", "c", 7), ("u", "b", 5), ("u", "a", 5), ("u", "d", 5)), FILMS)
    assert ordered.schema == INTERACTION_SCHEMA
    assert ordered["item_id"].to_list() == ["b", "a", "d", "c"]
    assert ordered["occurred_at"].to_list() == [5, 5, 5, 7]
    assert ordered["effective_at"].to_list() == [5, 6, 7, 8]


def test_a_gap_brings_the_moments_back_to_real_time(logged):
    ordered = interactions(logged(("u", "a", 5), ("u", "b", 5), ("u", "c", 100), ("v", "a", 5)), FILMS)
    assert ordered["effective_at"].to_list() == [5, 6, 100, 5]


def test_films_count_once_groceries_each_time(logged):
    events = logged(("u", "milk", 3), ("u", "milk", 1), ("u", "eggs", 2), ("v", "milk", 9))
    assert interactions(events, FILMS).select("user_id", "item_id", "occurred_at").rows() == [
        ("u", "milk", 1),
        ("u", "eggs", 2),
        ("v", "milk", 9),
    ]
    assert interactions(events, GROCERIES)["item_id"].to_list() == ["milk", "eggs", "milk", "milk"]


def test_only_positive_events_count_with_their_weight(logged):
    meaning = EventMeaning(positive=("buy", "view"), negative=("return",), weights={"buy": 3.0}, min_value=0.5)
    events = logged(
        ("u", "a", 1, "buy", 2.0),
        ("u", "b", 2, "return", 1.0),
        ("u", "c", 3, "hover", 1.0),
        ("u", "d", 4, "view", 0.1),
        ("u", "e", 5, "view", None),
        ("u", "f", 6, None, 1.0),
    )
    counted = interactions(events, WorkspaceSchema(name="shop", events=meaning))
    assert counted.select("item_id", "value").rows() == [("a", 6.0), ("e", 1.0)]


def test_a_negative_event_does_not_hide_a_later_positive_one(logged):
    schema = WorkspaceSchema(name="shop", events=EventMeaning(negative=("skip",)))
    events = logged(("u", "a", 1, "skip", 1.0), ("u", "a", 2, "play", 1.0))
    assert interactions(events, schema)["occurred_at"].to_list() == [2]


def test_positions_back_count_from_the_end(logged):
    counted = interactions(logged(("u", "a", 5), ("u", "b", 5), ("v", "a", 1)), FILMS)
    assert positions_back(counted, 1).rows() == [("u", "b", 6), ("v", "a", 1)]
    assert positions_back(counted, 2).rows() == [("u", "a", 5)]
    assert positions_back(counted, 3).height == 0
    with pytest.raises(ValueError, match="from 1"):
        positions_back(counted, 0)


def test_no_events_give_no_interactions(logged):
    empty = interactions(logged(), FILMS)
    assert (empty.height, empty.schema) == (0, INTERACTION_SCHEMA)
    assert positions_back(empty, 1).columns == ["user_id", "item_id", "effective_at"]


def test_the_order_of_rows_handed_over_does_not_matter(logged):
    events = logged(*[(f"u{n % 3}", f"i{n % 7}", n // 5) for n in range(60)])
    shuffled = events.sample(fraction=1.0, shuffle=True, seed=1)
    assert interactions(shuffled, GROCERIES).equals(interactions(events, GROCERIES))
    assert isinstance(interactions(events, FILMS), pl.DataFrame)
