"""Counts that followed the log are those of a full count: appended, late, changed, removed events and users."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from recsys.context.sequences import Sequences
from recsys.experts.changes import changes
from recsys.experts.long_term import LongTermConfig, fit_long_term_memory
from recsys.experts.memory import MemoryConfig, fit_sequence_memory
from recsys.experts.refresh import LongTermCounts, MemoryCounts

STACKED = MemoryConfig(decays=(0.5, 0.9), windows=(2, 5), ridges=(1.5, 4.0))
LONG_TERM = LongTermConfig(ridge=0.7)
N_ITEMS = 6
ATTRIBUTES = sparse.csr_matrix(np.eye(N_ITEMS, 2, dtype=np.float32) + np.eye(N_ITEMS, 2, k=-2, dtype=np.float32))

Log = dict[str, list[tuple[int, int, float]]]
"""(time, item, value) of each user's events."""
EVENTS = st.lists(st.tuples(st.integers(0, 7), st.integers(1, N_ITEMS), st.sampled_from([0.0, 0.5, 1.0])), max_size=9)
LOGS = st.dictionaries(st.sampled_from(list("abcde")), EVENTS, max_size=4)


def sequences_of(log: Log, *, baskets: bool = False, vocabulary=range(1, N_ITEMS + 1)) -> Sequences:
    index = {item: place for place, item in enumerate(vocabulary, start=1)}
    users = {user: sorted(own) for user, own in sorted(log.items()) if own}
    flat = [event for own in users.values() for event in own]
    return Sequences(
        tuple(users),
        np.concatenate([[0], np.cumsum([len(own) for own in users.values()])]).astype(np.int64),
        np.array([index[item] for _, item, _ in flat], dtype=np.int64),
        np.array([time for time, _, _ in flat], dtype=np.int64),
        np.array([value for *_, value in flat], dtype=np.float32),
        baskets,
    )


def refreshed(before: Sequences, after: Sequences, places: np.ndarray, n_items: int, config=STACKED, attributes=None):
    """The memories that counts of before give after a refresh."""
    changed = changes(before, after, places)
    memory = MemoryCounts.of(before, len(places) - 1, config).refresh(changed, places, n_items)
    long_term = LongTermCounts.of(before, len(places) - 1).refresh(changed, places, n_items)
    return memory.solve(config, attributes), long_term.solve(LONG_TERM)


def assert_equal_to_a_full_fit(found, after: Sequences, n_items: int, config=STACKED, attributes=None) -> None:
    memory, long_term = found
    whole = fit_sequence_memory(after, n_items, config, attributes)
    assert torch.allclose(memory.weights, whole.weights, atol=1e-4, rtol=0)
    assert torch.equal(long_term.weights, fit_long_term_memory(after, n_items, LONG_TERM).weights)


@pytest.mark.slow
@settings(max_examples=100)
@given(LOGS, LOGS, st.booleans())
def test_a_refresh_from_any_log_to_any_other_equals_a_full_fit(one: Log, other: Log, baskets: bool):
    before, after = sequences_of(one, baskets=baskets), sequences_of(other, baskets=baskets)
    found = refreshed(before, after, np.arange(N_ITEMS + 1), N_ITEMS, attributes=ATTRIBUTES)
    assert_equal_to_a_full_fit(found, after, N_ITEMS, attributes=ATTRIBUTES)


@pytest.mark.slow
@settings(max_examples=60)
@given(LOGS, LOGS, st.booleans())
def test_events_added_to_a_log_equal_a_full_fit(one: Log, more: Log, baskets: bool):
    both = {user: one.get(user, []) + more.get(user, []) for user in one.keys() | more.keys()}
    before, after = sequences_of(one, baskets=baskets), sequences_of(both, baskets=baskets)
    found = refreshed(before, after, np.arange(N_ITEMS + 1), N_ITEMS)
    assert_equal_to_a_full_fit(found, after, N_ITEMS)


@pytest.mark.slow
@settings(max_examples=60)
@given(LOGS, LOGS)
def test_items_may_come_and_go(one: Log, other: Log):
    def items(log: Log) -> list[int]:
        return sorted({item for own in log.values() for _, item, _ in own} | {3})

    old, new = items(one), items(other)
    places = np.array([0, *(new.index(item) + 1 if item in new else 0 for item in old)])
    before, after = sequences_of(one, vocabulary=old), sequences_of(other, vocabulary=new)
    assert_equal_to_a_full_fit(refreshed(before, after, places, len(new)), after, len(new))


@pytest.mark.slow
@settings(max_examples=20)
@given(st.lists(LOGS, min_size=3, max_size=6))
def test_many_refreshes_in_a_row_stay_equal_to_a_full_fit(logs: list[Log]):
    states = [sequences_of(log) for log in logs]
    same = np.arange(N_ITEMS + 1)
    counts = MemoryCounts.of(states[0], N_ITEMS, STACKED)
    for before, after in pairwise(states):
        counts = counts.refresh(changes(before, after), same, N_ITEMS)
    whole = fit_sequence_memory(states[-1], N_ITEMS, STACKED)
    assert torch.allclose(counts.solve(STACKED).weights, whole.weights, atol=1e-4, rtol=0)


def test_only_users_with_other_events_are_counted_again(sequences):
    before, after = sequences([1, 2, 3], [4, 5], [6]), sequences([1, 2, 3], [4, 5, 1], [2, 6])
    found = changes(before, after)
    assert found.after.user_ids == ("u1", "u2")
    assert found.after_from.tolist() == [2, 0]
    assert found.before.user_ids == ("u1", "u2")
    assert found.before_from.tolist() == [2, 0]


def test_an_event_that_joins_a_basket_changes_the_whole_basket():
    before = sequences_of({"a": [(1, 1, 1.0), (2, 2, 1.0)]}, baskets=True)
    after = sequences_of({"a": [(1, 1, 1.0), (2, 2, 1.0), (2, 3, 1.0)]}, baskets=True)
    assert changes(before, after).after_from.tolist() == [1]


def test_refreshing_leaves_the_counts_it_came_from_alone(sequences):
    before, after = sequences([1, 2, 3]), sequences([1, 2, 3, 4])
    counts = MemoryCounts.of(before, N_ITEMS, STACKED)
    gram = counts.gram.clone()
    counts.refresh(changes(before, after), np.arange(N_ITEMS + 1), N_ITEMS)
    counts.solve(STACKED)
    assert torch.equal(counts.gram, gram)


@pytest.mark.parametrize("top", [None, 2])
def test_the_settings_of_the_solve_still_decide(sequences, top):
    config = STACKED.model_copy(update={"top": top})
    own = sequences([1, 2, 3, 4], [2, 4, 5])
    weights = MemoryCounts.of(own, N_ITEMS, config).solve(config).tensors()
    for name, tensor in fit_sequence_memory(own, N_ITEMS, config).tensors().items():
        assert torch.allclose(weights[name].float(), tensor.float(), atol=1e-5)
