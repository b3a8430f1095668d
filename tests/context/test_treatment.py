"""What cannot be true in a feature row is treated as the documentation says, and counted by what it was."""

import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields

import pytest
import torch

from recsys.context.batch import ContextBatch, FeatureRow
from recsys.context.encoder import ContextEncoder
from recsys.context.faults import ContextFaults
from recsys.context.profile import ProfileEncoding

AGES = ProfileEncoding.fit([{"age": 10.0}, {"age": 20.0}], {"age": "numeric"})


def row(items: str, times: tuple[int, ...] | None = None, **changes: object) -> FeatureRow:
    own = {
        "history_items": tuple(items),
        "history_times": times or tuple(range(100, 100 + len(items))),
        "history_values": (2.0,) * len(items),
        "event_count": len(items),
    }
    return FeatureRow(user_id="u", **(own | changes))


@pytest.fixture
def encoder() -> ContextEncoder:
    return ContextEncoder("abcd", AGES, history_length=3)


def same(one: ContextBatch, other: ContextBatch) -> bool:
    return all(torch.equal(getattr(one, field.name), getattr(other, field.name)) for field in fields(ContextBatch))


def test_a_plain_row_has_no_fault(encoder):
    encoder.encode([row("abc", (1, 5, 5), seen_items=("a",), seen_counts=(1,), seen_last=(0,), profile={"age": 1})])
    assert encoder.faults == ContextFaults()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), 1e300])
def test_an_event_whose_value_is_not_finite_counts_as_one(encoder, value):
    found = encoder.encode([row("abc", history_values=(0.5, value, -3.0))])
    assert found.values.tolist() == [[0.5, 1.0, -3.0]]
    assert encoder.faults == ContextFaults(values=1)


def test_events_are_taken_by_time_and_in_their_order_where_times_are_equal(encoder):
    shuffled = row("dbac", (9, 5, 1, 5), history_values=(4.0, 2.0, 1.0, 3.0))
    found = encoder.encode([shuffled, row("ab")])
    assert same(found, encoder.encode([row("abcd", (1, 5, 5, 9), history_values=(1.0, 2.0, 3.0, 4.0)), row("ab")]))
    assert found.history[0].tolist() == [2, 3, 4], "the newest three"
    assert encoder.faults == ContextFaults(order=2)


def test_where_one_user_ends_before_the_next_begins_nothing_is_out_of_order(encoder):
    encoder.encode([row("ab", (50, 60)), row("cd", (1, 2))])
    assert encoder.faults == ContextFaults()


@pytest.mark.parametrize("early", [0, -1, -(2**63)])
def test_an_event_before_1970_is_taken_to_be_as_old_as_the_oldest_other_one(encoder, early):
    found = encoder.encode([row("abc", (early, 70, 80)), row("abc", (70, early, 80)), row("ab", (early, early))])
    assert found.times.tolist() == [[70, 70, 80], [70, 70, 80], [0, 0, 0]]
    assert found.history.tolist() == [[1, 2, 3], [2, 1, 3], [0, 1, 2]]
    assert encoder.faults == ContextFaults(times=4, order=1)


def test_a_negative_record_of_a_seen_item_says_nothing(encoder):
    seen = {"seen_items": tuple("abcx"), "seen_counts": (-4, 5, 6, -9), "seen_last": (3, -7, 90, -9)}
    found = encoder.encode([row("ab", (70, 80), **seen), row("", **seen)])
    assert found.seen_counts.tolist() == [0, 5, 6] * 2
    assert found.seen_last.tolist() == [3, 70, 90, 3, 0, 90]
    assert encoder.faults == ContextFaults(records=4)


@pytest.mark.parametrize("count", [-1, 1, float("nan"), float("inf")])
def test_a_user_has_at_least_the_events_of_the_history(encoder, count):
    found = encoder.encode([row("abcdx", event_count=count), row("", event_count=7)])
    assert found.event_count.tolist() == [4, 7]
    assert encoder.faults == ContextFaults(unknown_items=1, event_counts=1)


@pytest.mark.parametrize("number", [float("nan"), float("inf"), 10**400], ids=["nan", "inf", "huge"])
def test_a_profile_number_that_is_none_is_missing(encoder, number):
    assert same(encoder.encode([row("a", profile={"age": number})]), encoder.encode([row("a")]))
    assert encoder.faults == ContextFaults(profile_numbers=1)


def test_an_event_of_an_unknown_item_has_no_other_fault(encoder):
    wrong = row("axbx", (5, -1, 6, 2), history_values=(1.0, float("nan"), 1.0, float("nan")))
    assert encoder.encode([wrong]).times.tolist() == [[0, 5, 6]]
    assert encoder.faults == ContextFaults(unknown_items=2)


def test_what_is_treated_is_said_in_one_line_and_unknown_items_are_not(encoder, caplog):
    with caplog.at_level(logging.WARNING, logger="recsys.context.encoder"):
        encoder.encode([row("ax")])
        assert caplog.messages == []
        encoder.encode([row("ax", (-1, 3)), row("ba", (9, 8))])
    assert caplog.messages == ["contexts were treated before they were scored: unknown_items=1, times=1, order=1"]


def test_no_thread_forgets_what_another_counted(encoder):
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda _: encoder.encode([row("ax")]), range(400)))
    assert encoder.faults == ContextFaults(unknown_items=400)
