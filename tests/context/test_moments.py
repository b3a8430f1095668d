"""Events that cannot have happened when they say: what is kept of them, and the reason that the row then carries."""

from dataclasses import replace

import pytest

from recsys.context.batch import FeatureRow
from recsys.context.moments import believable

ROW = FeatureRow(
    user_id="ann",
    history_items=("a", "b", "c"),
    history_times=(10, 20, 30),
    history_values=(1.0, 2.0, 3.0),
    seen_items=("a", "b", "c"),
    seen_counts=(1, 1, 1),
    seen_last=(10, 20, 30),
    event_count=3,
    first_event_at=10,
    last_event_at=30,
    present=True,
)


def test_a_row_of_the_past_is_the_row_itself():
    assert believable(ROW, 30) is ROW


def test_an_event_from_the_future_leaves_the_history_and_its_item_stays_seen():
    row = believable(ROW, 29)
    assert row.degraded == "future_event"
    assert (row.history_items, row.history_times, row.history_values) == (("a", "b"), (10, 20), (1.0, 2.0))
    assert (row.event_count, row.first_event_at, row.last_event_at) == (2, 10, 20)
    assert (row.seen_items, row.seen_last) == (("a", "b", "c"), (10, 20, 29))


def test_with_nothing_but_the_future_the_history_is_empty():
    row = believable(ROW, 5)
    assert (row.history_items, row.event_count, row.last_event_at, row.degraded) == ((), 0, 0, "future_event")


@pytest.mark.parametrize("at", [0, -5])
def test_an_event_before_1970_stays_and_is_told(at):
    row = believable(replace(ROW, history_times=(at, 20, 30)), 99)
    assert row.degraded == "event_before_1970"
    assert row.history_items == ROW.history_items
