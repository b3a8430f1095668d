"""Within a basket no event comes before another: what is fitted on baskets does not depend on an order inside them."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from recsys.context.sequences import Sequences
from recsys.experts.content import ContentConfig, fit_content
from recsys.experts.linear import decayed_prefixes, next_items, prefix_of_events
from recsys.experts.memory import MemoryConfig, fit_sequence_memory

N_ITEMS, DECAY, WINDOW, RIDGE = 5, 0.5, 3, 2.0
BASKETS = ([[1, 2], [3], [4, 1]], [[5]], [], [[2], [3, 5, 1]])
ATTRIBUTES = np.array([[1, 0], [1, 1], [0, 0], [0, 1], [0, 1]], dtype=np.float32)


def shopping(users=BASKETS, *, weight_of_1: float = 1.0) -> Sequences:
    """One list of baskets a user; a basket's time is its number."""
    flat = [(item, day) for user in users for day, basket in enumerate(user) for item in basket]
    items = np.array([item for item, _ in flat], dtype=np.int64)
    return Sequences(
        user_ids=tuple(f"u{n}" for n in range(len(users))),
        offsets=np.cumsum([0, *(sum(map(len, user)) for user in users)]).astype(np.int64),
        items=items,
        times=np.array([day for _, day in flat], dtype=np.int64),
        values=np.where(items == 1, weight_of_1, 1.0).astype(np.float32),
        baskets=True,
    )


def decayed(history: list[int]) -> np.ndarray:
    x = np.zeros(N_ITEMS)
    for age, item in enumerate(reversed(history[-WINDOW:])):
        x[item - 1] += DECAY**age
    return x


def explicit(weight_of_1: float = 1.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """X, Y and weight, one row an event: what precedes its basket, and the item."""
    rows = [
        (decayed([item for before in user[:n] for item in before]), item, weight_of_1 if item == 1 else 1.0)
        for user in BASKETS
        for n, basket in enumerate(user)
        for item in basket
    ]
    X, items, weights = (np.array(column) for column in zip(*rows, strict=True))
    return X, np.eye(N_ITEMS)[items - 1], weights


def ridge(X: np.ndarray, Y: np.ndarray, weights: np.ndarray) -> np.ndarray:
    return np.linalg.solve(X.T * weights @ X + RIDGE * np.eye(X.shape[1]), X.T * weights @ Y)


def test_there_is_one_prefix_a_basket_and_what_follows_it_is_the_basket():
    own = shopping()
    assert prefix_of_events(own).tolist() == [0, 0, 1, 2, 2, 3, 4, 5, 5, 5]
    histories, following = decayed_prefixes(own, N_ITEMS, DECAY, WINDOW), next_items(own, N_ITEMS)
    assert histories.toarray()[2].tolist() == decayed([1, 2, 3]).tolist()
    assert following.toarray()[2].tolist() == [1, 0, 0, 1, 0]


def test_no_event_has_no_prefix():
    nobody = shopping(([], []))
    assert decayed_prefixes(nobody, N_ITEMS, DECAY, WINDOW).shape == (0, N_ITEMS)
    assert next_items(nobody, N_ITEMS).shape == (0, N_ITEMS)


@pytest.mark.parametrize("weight", [1.0, 3.0])
def test_the_memory_is_the_ridge_with_a_row_for_every_event_of_a_basket(weight):
    config = MemoryConfig(decays=(DECAY,), windows=(WINDOW,), ridges=(RIDGE,))
    fitted = fit_sequence_memory(shopping(weight_of_1=weight), N_ITEMS, config)
    np.testing.assert_allclose(fitted.weights[0, 1:].numpy(), ridge(*explicit(weight)), atol=1e-5)


def test_so_is_the_content_expert():
    X, Y, weights = explicit()
    config = ContentConfig(decay=DECAY, window=WINDOW, ridge=RIDGE)
    fitted = fit_content(shopping(), N_ITEMS, sparse.csr_matrix(ATTRIBUTES), config)
    np.testing.assert_allclose(fitted.weights.numpy(), ridge(X @ ATTRIBUTES, Y, weights), atol=1e-5)


def test_the_order_within_the_last_basket_changes_nothing():
    config = MemoryConfig(decays=(DECAY,), windows=(WINDOW,), ridges=(RIDGE,))
    turned = tuple([*user[:-1], user[-1][::-1]] if user else user for user in BASKETS)
    one, other = (fit_sequence_memory(shopping(users), N_ITEMS, config).weights for users in (BASKETS, turned))
    np.testing.assert_allclose(one.numpy(), other.numpy(), atol=1e-6)
