"""Activity, popularity profile and affinities against a plain restatement of what they promise."""

from __future__ import annotations

import math
from collections import Counter

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.data.categories import ItemCategories
from recsys.data.schema import WorkspaceSchema
from recsys.events.derived import DERIVED_COLUMNS, MOST_AFFINITIES
from recsys.events.fold import HISTORY_LENGTH, fold
from recsys.events.log import LOG_SCHEMA

DAY = 86_400_000_000
SCHEMA = WorkspaceSchema(
    name="shop",
    repeats=True,
    item_columns={"name": "categorical", "kinds": "list", "maker": "categorical", "size": "numeric"},
    title="name",
)
ITEMS = pl.DataFrame(
    {
        "item_id": ["d", "a", "b", "c"],
        "name": ["D", "A", "B", "C"],
        "kinds": [None, ["x", "y", "x"], ["y", None, ""], []],
        "maker": ["m", "m", "n", None],
        "size": [1.0, 2.0, 3.0, 4.0],
    },
    schema=SCHEMA.items_frame_schema(),
)
KINDS = {"a": ["x", "y"], "b": ["y"]}
MAKER = {"a": ["m"], "b": ["n"], "d": ["m"]}
CATEGORIES = ItemCategories.of(ITEMS, SCHEMA)

events = st.lists(
    st.tuples(st.sampled_from("uv"), st.sampled_from("abcde"), st.integers(-1, 100), st.integers(0, 5)), max_size=25
)


def log_of(rows):
    numbered = [
        (n, str(n), user, item, at * DAY // 3, 0, None, 1.0, seen) for n, (user, item, at, seen) in enumerate(rows)
    ]
    return pl.DataFrame(numbered, schema=LOG_SCHEMA, orient="row")


def activity_of(times):
    last = times[-1]
    return {
        "events_last_7_days": sum(at > last - 7 * DAY for at in times),
        "events_last_30_days": sum(at > last - 30 * DAY for at in times),
        "active_days": len({at // DAY for at in times}),
        "mean_gap": (times[-1] - times[0]) // (len(times) - 1) if len(times) > 1 else 0,
    }


def affinities_of(items):
    shares = []
    for attribute, values in (("kinds", KINDS), ("maker", MAKER)):
        counts = Counter(value for item in items for value in values.get(item, ()))
        shares += [(f"{attribute}={value}", n / counts.total()) for value, n in counts.items()]
    return sorted(shares, key=lambda share: (-share[1], share[0]))[:MOST_AFFINITIES]


@given(events)
def test_derived_features_are_what_a_loop_over_the_history_says(rows):
    folded = fold(log_of(rows), SCHEMA, CATEGORIES)
    for row in folded.iter_rows(named=True):
        mine = sorted((at, n, item, seen) for n, (user, item, at, seen) in enumerate(rows) if user == row["user_id"])
        assert {name: row[name] for name in activity_of([1])} == activity_of([at * DAY // 3 for at, *_ in mine])
        logs = [math.log1p(seen) for *_, seen in mine]
        mean = sum(logs) / len(logs)
        assert row["popularity_mean"] == pytest.approx(mean, abs=1e-4)
        spread = math.sqrt(sum((own - mean) ** 2 for own in logs) / len(logs))
        assert row["popularity_spread"] == pytest.approx(spread, abs=1e-3)
        assert row["first_share"] == sum(seen == 0 for *_, seen in mine) / len(mine)
        expected = affinities_of([item for _, _, item, _ in mine])
        assert row["affinity_names"] == [name for name, _ in expected]
        assert row["affinity_weights"] == pytest.approx([weight for _, weight in expected])


@given(events, st.integers(0, 9))
def test_they_do_not_depend_on_other_users_or_on_the_order_of_rows_to_the_last_bit(rows, seed):
    log = log_of(rows)
    together = fold(log, SCHEMA, CATEGORIES)
    shuffled = log.sample(fraction=1.0, shuffle=True, seed=seed)
    assert repr(fold(shuffled, SCHEMA, CATEGORIES).rows()) == repr(together.rows())
    for user in together["user_id"]:
        alone = fold(log.filter(user_id=user), SCHEMA, CATEGORIES)
        assert repr(alone.rows()) == repr(together.filter(user_id=user).rows())


def test_without_a_clock_there_is_no_activity():
    clockless = WorkspaceSchema(name="shop", clock=False)
    row = fold(log_of([("u", "a", 1, 0), ("u", "b", 50, 0)]), clockless).row(0, named=True)
    assert (row["events_last_7_days"], row["events_last_30_days"], row["active_days"], row["mean_gap"]) == (0, 0, 0, 0)


def test_a_user_without_positive_events_has_zeros_and_empty_lists():
    liked_only = WorkspaceSchema(name="shop", events=type(SCHEMA.events)(positive=("buy",)))
    row = fold(log_of([("u", "a", 1, 0)]), liked_only, CATEGORIES).select(list(DERIVED_COLUMNS)).row(0)
    assert row == (0, 0, 0, 0, 0.0, 0.0, 0.0, [], [])


def test_only_the_window_counts_for_popularity_and_affinities_and_at_most_twenty_are_kept():
    items = pl.DataFrame(
        {"item_id": [f"i{n:03d}" for n in range(300)], "maker": [f"m{n:03d}" for n in range(300)]},
        schema={"item_id": pl.String, "maker": pl.String},
    )
    schema = WorkspaceSchema(name="shop", repeats=True, item_columns={"maker": "categorical"})
    rows = [("u", f"i{n:03d}", n, 0 if n < 300 - HISTORY_LENGTH else 1) for n in range(300)]
    row = fold(log_of(rows), schema, ItemCategories.of(items, schema)).row(0, named=True)
    assert (row["first_share"], row["popularity_spread"]) == (0.0, 0.0)
    assert row["affinity_names"] == [f"maker=m{n:03d}" for n in range(100, 120)]
    assert row["affinity_weights"] == pytest.approx([1 / HISTORY_LENGTH] * 20)
