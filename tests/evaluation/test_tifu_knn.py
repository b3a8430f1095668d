"""TIFU-kNN against its equations, written out as loops."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from recsys.context.sequences import Sequences, prefix_contexts
from recsys.evaluation.tifu_knn import TifuKnnConfig, fit_tifu_knn, user_vectors

N_ITEMS = 5
CONFIG = TifuKnnConfig(group_size=2, within_decay=0.5, group_decay=0.25, neighbours=1, own_share=0.75)


def shopped(*users: list[list[int]]) -> Sequences:
    """Baskets of item indices of each user, an hour apart."""
    events = [[(item, at) for at, basket in enumerate(user) for item in basket] for user in users]
    flat = [event for user in events for event in user]
    return Sequences(
        user_ids=tuple(f"u{n}" for n in range(len(users))),
        offsets=np.cumsum([0, *(len(user) for user in events)]),
        items=np.array([item for item, _ in flat], dtype=np.int64),
        times=np.array([at for _, at in flat], dtype=np.int64) * 3_600_000_000,
        values=np.ones(len(flat), dtype=np.float32),
    )


def context_of(own: Sequences, history_length: int = 40):
    nothing = np.zeros((len(own), 0), np.float32)
    return prefix_contexts(own, np.arange(len(own)), own.lengths, nothing, history_length=history_length)


def vector_of(baskets: list[list[int]], config: TifuKnnConfig) -> np.ndarray:
    """The paper's two sums, newest basket last; the oldest group holds what is left over."""
    if not baskets:
        return np.zeros(N_ITEMS)
    m = config.group_size
    cut = len(baskets) % m
    groups = [baskets[:cut]] if cut else []
    groups += [baskets[start : start + m] for start in range(cut, len(baskets), m)]
    total = np.zeros(N_ITEMS)
    for back, group in enumerate(reversed(groups)):
        vector = np.zeros(N_ITEMS)
        for age, basket in enumerate(reversed(group)):
            for item in set(basket):
                vector[item - 1] += config.within_decay**age
        total += config.group_decay**back * vector / len(group)
    return total / len(groups)


basket = st.lists(st.integers(1, N_ITEMS), min_size=1, max_size=3)


@settings(max_examples=40)
@given(st.lists(st.lists(basket, max_size=6), min_size=1, max_size=3).filter(any), st.integers(1, 4))
def test_vectors_are_the_papers_sums(users, group_size):
    config = CONFIG.model_copy(update={"group_size": group_size})
    found = user_vectors(context_of(shopped(*users)), N_ITEMS, config).toarray()
    assert np.allclose(found, [vector_of(user, config) for user in users])


def test_scores_mix_the_own_vector_with_the_nearest_users():
    train = shopped([[1, 2], [1]], [[4], [5]], [])
    fresh = [[1]]
    scores = fit_tifu_knn(train, N_ITEMS, CONFIG)(context_of(shopped(fresh))).numpy()
    nearest = vector_of([[1, 2], [1]], CONFIG)
    assert np.allclose(scores, [0.75 * vector_of(fresh, CONFIG) + 0.25 * nearest])


def test_more_neighbours_than_users_are_all_of_them():
    train = shopped([[1]], [[2]])
    model = fit_tifu_knn(train, N_ITEMS, CONFIG.model_copy(update={"neighbours": 50, "own_share": 0.0}))
    assert model(context_of(shopped([[3]]))).tolist() == [[0.5, 0.5, 0, 0, 0]]


@pytest.mark.parametrize("wrong", [{"own_share": 1.5}, {"group_size": 0}, {"r_b": 0.9}])
def test_settings_that_make_no_sense_are_refused(wrong):
    with pytest.raises(ValidationError):
        TifuKnnConfig(**wrong)
