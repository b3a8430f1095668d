"""Drawn events: as many as asked for, no item twice for a user, and users of one taste take like items."""

from __future__ import annotations

import polars as pl

from benchmarks.scale.data import TASTES, drawn_events


def test_every_user_has_so_many_events_of_different_items_and_the_draw_repeats():
    events = drawn_events(users=85, items=200, events=6)
    assert events.height == 85 * 6
    assert events["user_id"].n_unique() == 85
    assert events.select("user_id", "item_id").is_duplicated().sum() == 0
    assert events["item_id"].cast(pl.Int64).is_between(0, 199).all()
    assert events.equals(drawn_events(users=85, items=200, events=6))
    assert not events.equals(drawn_events(users=85, items=200, events=6, seed=8))


def test_users_mostly_take_items_of_their_own_taste():
    events = drawn_events(users=400, items=2_000, events=10)
    own = events.select((pl.col("user_id").cast(pl.Int64) - pl.col("item_id").cast(pl.Int64)) % TASTES == 0)
    assert own.to_series().mean() > 0.5
