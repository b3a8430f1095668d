"""The repeat expert: what came often and lately comes again."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from recsys.context.sequences import Sequences, prefix_contexts
from recsys.experts.repeat import RepeatConfig, RepeatExpert

DAY = 86_400_000_000
ITEMS = 4


def purchases(*users: list[tuple[int, int]]) -> Sequences:
    """(item, day) pairs of each user, oldest first."""
    flat = [event for user in users for event in user]
    return Sequences(
        user_ids=tuple(f"u{n}" for n in range(len(users))),
        offsets=np.cumsum([0, *(len(user) for user in users)]),
        items=np.array([item for item, _ in flat], dtype=np.int64),
        times=np.array([day for _, day in flat], dtype=np.int64) * DAY + 2**50,
        values=np.ones(len(flat), dtype=np.float32),
    )


def context_of(own: Sequences, history_length: int = 8):
    return prefix_contexts(
        own, np.arange(len(own)), own.lengths, np.zeros((len(own), 0), np.float32), history_length=history_length
    )


def sums(context, **config):
    return RepeatExpert(ITEMS, RepeatConfig(**config)).weighted_counts(context).tolist()


def test_an_event_counts_half_after_each_half_life_before_the_newest_event():
    context = context_of(purchases([(1, 0), (2, 10), (1, 20)], [(3, 500)], []))
    assert sums(context, half_life_days=10) == [[1.25, 0.5, 0, 0], [0, 0, 1, 0], [0, 0, 0, 0]]


def test_scores_are_the_logarithm_and_float32():
    context = context_of(purchases([(1, 0), (2, 10), (1, 20)]))
    scores = RepeatExpert(ITEMS, RepeatConfig(half_life_days=10)).score(context)
    assert scores.dtype == torch.float32
    assert torch.allclose(scores, torch.log1p(torch.tensor([[1.25, 0.5, 0, 0]])))


def test_the_moment_of_the_target_changes_nothing():
    context = context_of(purchases([(1, 0), (2, 10)]))
    assert sums(replace(context, moment=context.moment + 2**55), half_life_days=3) == sums(context, half_life_days=3)


def test_without_a_half_life_a_short_history_still_counts_every_event():
    own = purchases([(1, 0), (2, 1), (1, 2), (1, 3), (3, 4)])
    assert sums(context_of(own, history_length=2), half_life_days=None) == [[3, 1, 1, 0]]


def test_older_events_count_as_of_the_last_that_is_known_of_them():
    own = purchases([(1, 0), (1, 5), (2, 5), (2, 15), (3, 20), (2, 25)])
    # Of item 1 both older events are taken to be on day 5; of item 2 the older two on day 20, where the history begins.
    assert sums(context_of(own, history_length=2), half_life_days=5) == [
        [pytest.approx(2 * 0.5**4), pytest.approx(1 + 2 * 0.5), 0.5, 0]
    ]


def test_without_a_clock_age_is_counted_in_events():
    context = context_of(purchases([(1, 0), (2, 0), (1, 0)], [(4, 0)]), history_length=2)
    assert sums(context, age="events", half_life_events=1) == [[1.25, 0.5, 0, 0], [0, 0, 0, 1]]


def test_items_that_were_only_disliked_score_nothing():
    context = context_of(purchases([(1, 0), (2, 1)]))
    disliked = replace(
        context, seen_counts=torch.tensor([1, 0]), history=torch.where(context.history == 2, 0, context.history)
    )
    assert sums(disliked, half_life_days=7) == [[1, 0, 0, 0]]


def test_the_expert_is_known_by_its_tensors_and_config():
    assert int(RepeatExpert(ITEMS, RepeatConfig()).tensors()["n_items"]) == ITEMS


@pytest.mark.parametrize("wrong", [{"half_life_days": 0}, {"half_life": 3}, {"age": "weeks"}])
def test_settings_that_make_no_sense_are_refused(wrong):
    with pytest.raises(ValidationError):
        RepeatConfig(**wrong)


@settings(max_examples=40)
@given(
    st.lists(
        st.lists(st.tuples(st.integers(1, ITEMS), st.integers(0, 400)), max_size=9), min_size=1, max_size=4
    ).filter(any),
    st.floats(1, 500),
)
def test_a_whole_history_is_summed_as_a_loop_would(users, half_life):
    users = [sorted(user, key=lambda event: event[1]) for user in users]
    expected = np.zeros((len(users), ITEMS))
    for row, user in enumerate(users):
        for item, day in user:
            expected[row, item - 1] += 0.5 ** ((user[-1][1] - day) / half_life)
    assert np.allclose(sums(context_of(purchases(*users), 9), half_life_days=half_life), expected)
