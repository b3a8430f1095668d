"""The long-term memory is EASE, over what a user touched or over a decayed history."""

import numpy as np
import pytest
import torch

from recsys.errors import TrainingError
from recsys.experts.long_term import LongTermConfig, LongTermMemory, fit_long_term_memory

N_ITEMS = 5
USERS = ([1, 2, 3], [2, 3, 3, 2, 4], [5], [], [1, 4, 2])


def ease(users, ridge: float) -> np.ndarray:
    """The paper's formula, in float64 on a dense matrix."""
    X = np.zeros((len(users), N_ITEMS))
    for user, own in enumerate(users):
        X[user, [item - 1 for item in own]] = 1
    P = np.linalg.inv(X.T @ X + ridge * np.eye(N_ITEMS))
    B = np.eye(N_ITEMS) - P / np.diag(P)
    np.fill_diagonal(B, 0)
    return B


def test_the_fit_is_the_textbooks_and_an_item_twice_counts_once(sequences):
    fitted = fit_long_term_memory(sequences(*USERS), N_ITEMS, LongTermConfig(ridge=0.7))
    np.testing.assert_allclose(fitted.weights[1:].numpy(), ease(USERS, 0.7), atol=1e-5)
    assert not fitted.weights[0].any()
    assert not fitted.weights[1:].diagonal().any()


def test_scores_are_the_sum_over_everything_seen(sequences, contexts):
    fitted = fit_long_term_memory(sequences(*USERS), N_ITEMS, LongTermConfig(ridge=0.7))
    context = contexts([1, 2, 1, 1], [], [5], length=2)
    B = ease(USERS, 0.7)
    np.testing.assert_allclose(fitted.score(context).numpy(), [B[0] + B[1], np.zeros(N_ITEMS), B[4]], atol=1e-5)


def test_with_a_decay_newer_events_weigh_more(contexts):
    memory = LongTermMemory(torch.cat([torch.zeros(1, N_ITEMS), torch.eye(N_ITEMS)]), decay=0.5)
    assert memory.score(contexts([3, 1, 2, 1])).tolist() == [[1.25, 0.5, 0.125, 0, 0]]


def test_nobody_and_nothing_seen_score_zero(contexts):
    memory = LongTermMemory(torch.ones(N_ITEMS + 1, N_ITEMS), decay=1.0)
    assert memory.score(contexts()).shape == (0, N_ITEMS)
    assert memory.score(contexts([], [])).tolist() == [[0.0] * N_ITEMS] * 2


def test_a_ridge_too_small_to_solve_with_is_named(sequences):
    with pytest.raises(TrainingError, match=r"long_term.ridge is too small"):
        fit_long_term_memory(sequences([1, 2]), N_ITEMS, LongTermConfig(ridge=1e-30))
