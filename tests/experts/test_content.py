"""The content expert is a ridge from decayed attribute histories to next items."""

import json

import numpy as np
import pytest
import torch
from scipy import sparse

from recsys.errors import TrainingError
from recsys.experts.content import ContentConfig, fit_content
from recsys.experts.kinds import rebuilt

N_ITEMS = 5
USERS = ([1, 2, 3, 4, 1], [2, 5, 2], [3], [])
ATTRIBUTES = np.array([[1, 0, 0], [1, 1, 0], [0, 0, 0], [0, 1, 1], [0, 0, 1]], dtype=np.float32)
CONFIG = ContentConfig(decay=0.5, window=3, ridge=2.0)


def described(history: list[int]) -> np.ndarray:
    recent = history[-CONFIG.window :]
    return sum((CONFIG.decay**age * ATTRIBUTES[item - 1] for age, item in enumerate(reversed(recent))), np.zeros(3))


def dense_ridge(weight: float = 1.0) -> np.ndarray:
    """Events weigh 1, those of item 2 `weight`."""
    pairs = [(described(own[:n]), own[n]) for own in USERS for n in range(1, len(own))]
    X, targets = np.array([x for x, _ in pairs]), [target for _, target in pairs]
    D = np.diag([weight if target == 2 else 1.0 for target in targets])
    Y = np.eye(N_ITEMS)[[target - 1 for target in targets]]
    return np.linalg.solve(X.T @ D @ X + CONFIG.ridge * np.eye(3), X.T @ D @ Y)


@pytest.fixture
def fitted(sequences):
    return fit_content(sequences(*USERS), N_ITEMS, sparse.csr_matrix(ATTRIBUTES), CONFIG)


def test_the_fit_is_a_dense_ridge_over_every_prefix(fitted):
    np.testing.assert_allclose(fitted.weights.numpy(), dense_ridge(), atol=1e-5)


def test_events_count_by_their_weight(sequences):
    own = sequences(*USERS)
    own.values[own.items == 2] = 3.0
    found = fit_content(own, N_ITEMS, sparse.csr_matrix(ATTRIBUTES), CONFIG)
    np.testing.assert_allclose(found.weights.numpy(), dense_ridge(3.0), atol=1e-5)


def test_scores_are_those_of_what_the_newest_events_are(fitted, contexts):
    histories = [[1, 2, 4, 5, 2], [3], []]
    expected = [described(own) @ dense_ridge() for own in histories]
    np.testing.assert_allclose(fitted.score(contexts(*histories)).numpy(), expected, atol=1e-5)
    assert not fitted.score(contexts([3])).any(), "nothing is known of item 3"


def test_it_is_rebuilt_from_its_settings_and_tensors(fitted, contexts):
    again = rebuilt("content", json.loads(json.dumps(fitted.settings())), fitted.tensors())
    assert torch.equal(again.score(contexts([1, 2], [4])), fitted.score(contexts([1, 2], [4])))


def test_items_and_rows_that_do_not_match_are_refused(fitted):
    tensors = {**fitted.tensors(), "described": fitted.described[:-1]}
    with pytest.raises(ValueError, match="5 rows for padding and 5 items"):
        rebuilt("content", fitted.settings(), tensors)


def test_a_ridge_too_small_to_solve_with_is_named(sequences):
    twins = sparse.csr_matrix(np.ones((N_ITEMS, 2), np.float32))
    with pytest.raises(TrainingError, match=r"content\.ridge is too small"):
        fit_content(sequences([1, 2]), N_ITEMS, twins, ContentConfig(ridge=1e-12))
