"""The sequence memory is the ridge regression it says it is, and scores the histories it was fitted on."""

import json

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from scipy import sparse

from recsys.context.sequences import Sequences, prefix_contexts
from recsys.errors import TrainingError
from recsys.experts import counting
from recsys.experts.counting import by_events
from recsys.experts.kinds import rebuilt
from recsys.experts.linear import decayed_prefixes
from recsys.experts.memory import MemoryConfig, SequenceMemory, fit_sequence_memory

N_ITEMS = 6
STACKED = MemoryConfig(decays=(0.5, 0.9), windows=(2, 5), ridges=(1.5, 4.0))
USERS = ([1, 2, 3, 4, 5, 6, 1], [2, 3, 2, 2, 5], [6], [], [4, 1, 3, 6])


def decayed(history: list[int], decay: float, window: int) -> np.ndarray:
    x = np.zeros(N_ITEMS)
    for age, item in enumerate(reversed(history[-window:])):
        x[item - 1] += decay**age
    return x


def stacked(history: list[int], config: MemoryConfig) -> np.ndarray:
    return np.concatenate([decayed(history, d, w) for d, w, _ in config.histories(N_ITEMS)])


def dense_ridge(users, config: MemoryConfig) -> np.ndarray:
    pairs = [(stacked(own[:n], config), own[n]) for own in users for n in range(1, len(own))]
    X = np.array([x for x, _ in pairs])
    Y = np.eye(N_ITEMS)[[target - 1 for _, target in pairs]]
    penalty = np.repeat([ridge for *_, ridge in config.histories(N_ITEMS)], N_ITEMS)
    return np.linalg.solve(X.T @ X + np.diag(penalty), X.T @ Y)


def test_the_fit_equals_a_dense_ridge_over_every_prefix(sequences):
    fitted = fit_sequence_memory(sequences(*USERS), N_ITEMS, STACKED)
    expected = dense_ridge(USERS, STACKED).reshape(2, N_ITEMS, N_ITEMS)
    np.testing.assert_allclose(fitted.weights[:, 1:].numpy(), expected, atol=1e-5)
    assert not fitted.weights[:, 0].any()
    assert fitted.weights.dtype == torch.float32


def test_scores_are_the_stacked_history_times_the_weights(sequences, contexts):
    fitted = fit_sequence_memory(sequences(*USERS), N_ITEMS, STACKED)
    histories = [[1, 2, 3, 4, 5, 6, 1], [2, 2], [5], []]
    expected = [stacked(own, STACKED) @ dense_ridge(USERS, STACKED) for own in histories]
    np.testing.assert_allclose(fitted.score(contexts(*histories)).numpy(), expected, atol=1e-5)


@settings(max_examples=30)
@given(st.lists(st.lists(st.integers(1, N_ITEMS), max_size=9), min_size=1, max_size=5), st.floats(0, 1))
def test_repeated_items_add_up_in_the_fit_as_in_the_scores(users, decay: float):
    assume(any(users))
    config = MemoryConfig(decays=(decay,), windows=(4,), ridges=(2.0,))
    lengths = [len(own) for own in users]
    own = Sequences(
        tuple(map(str, range(len(users)))),
        np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        np.array([item for user in users for item in user], dtype=np.int64),
        np.zeros(sum(lengths), np.int64),
        np.ones(sum(lengths), np.float32),
    )
    fitted = fit_sequence_memory(own, N_ITEMS, config)
    everyone = np.arange(len(users))
    context = prefix_contexts(own, everyone, own.lengths, np.zeros((len(users), 0), np.float32), history_length=9)
    learns = any(length > 1 for length in lengths)
    weights = dense_ridge(users, config) if learns else np.zeros((N_ITEMS, N_ITEMS))
    expected = [decayed(user, decay, 4) @ weights for user in users]
    np.testing.assert_allclose(fitted.score(context).numpy(), expected, atol=1e-5)


@pytest.mark.parametrize("entries", [1, 30, 70])
def test_counted_some_users_at_a_time_it_is_the_same_memory(sequences, monkeypatch, entries):
    own, attributes = sequences(*USERS), sparse.csr_matrix(ATTRIBUTES)
    whole = fit_sequence_memory(own, N_ITEMS, DESCRIBED, attributes)
    parts = []
    monkeypatch.setattr(counting, "ENTRIES_AT_ONCE", entries)
    monkeypatch.setattr(counting, "by_events", lambda own, number: parts.append(number) or by_events(own, number))
    in_parts = fit_sequence_memory(own, N_ITEMS, DESCRIBED, attributes)
    assert parts[0] > 1
    torch.testing.assert_close(in_parts.weights, whole.weights, rtol=1e-5, atol=1e-6)


def test_a_window_longer_than_the_history_is_the_whole_history(contexts):
    weights = torch.cat([torch.zeros(1, N_ITEMS), torch.eye(N_ITEMS)])[None]
    memory = SequenceMemory(weights, (0.5,), (50,))
    assert memory.score(contexts([1, 2, 2], length=3)).tolist() == [[0.25, 1.5, 0, 0, 0, 0]]


def test_a_large_catalogue_gets_the_fallback_history_only(sequences):
    config = MemoryConfig(decays=(0.5, 0.9), windows=(2, 5), ridges=(1.0, 1.0), max_columns=11, fallback=(0.6, 3, 2.0))
    fitted = fit_sequence_memory(sequences(*USERS), N_ITEMS, config)
    assert (fitted.decays, fitted.windows) == ((0.6,), (3,))
    np.testing.assert_allclose(fitted.weights[0, 1:].numpy(), dense_ridge(USERS, config), atol=1e-5)
    roomy = config.model_copy(update={"max_columns": 12})
    assert fit_sequence_memory(sequences(*USERS), N_ITEMS, roomy).decays == (0.5, 0.9)


ATTRIBUTES = np.array([[1, 0], [1, 1], [0, 0], [0, 1], [1, 0], [0, 1]], dtype=np.float32)


def with_attributes(history: list[int]) -> np.ndarray:
    """The stacked histories and, weighed, what the items of the last one are."""
    own = stacked(history, DESCRIBED)
    return np.concatenate([own, DESCRIBED.attribute_weight * own[-N_ITEMS:] @ ATTRIBUTES])


DESCRIBED = STACKED.model_copy(update={"attribute_weight": 0.4, "attribute_ridge": 3.0})


def test_with_attributes_scores_equal_those_of_the_explicit_stacked_ridge(sequences, contexts):
    pairs = [(with_attributes(own[:n]), own[n]) for own in USERS for n in range(1, len(own))]
    X, Y = np.array([x for x, _ in pairs]), np.eye(N_ITEMS)[[target - 1 for _, target in pairs]]
    penalty = np.repeat([1.5, 4.0, 3.0], [N_ITEMS, N_ITEMS, 2])
    weights = np.linalg.solve(X.T @ X + np.diag(penalty), X.T @ Y)
    fitted = fit_sequence_memory(sequences(*USERS), N_ITEMS, DESCRIBED, sparse.csr_matrix(ATTRIBUTES))
    histories = [[1, 2, 3, 4, 5, 6, 1], [2, 2], [5], []]
    expected = [with_attributes(own) @ weights for own in histories]
    np.testing.assert_allclose(fitted.score(contexts(*histories)).numpy(), expected, atol=1e-5)
    assert fitted.weights.shape == (2, N_ITEMS + 1, N_ITEMS), "they cost nothing when scoring"
    assert not fitted.weights[:, 0].any()


def test_an_item_without_events_scores_by_what_it_is(sequences, contexts):
    known = [[1, 3, 1, 3, 1, 3]] * 4
    twin = np.zeros((N_ITEMS, 1), np.float32)
    twin[[0, 4]] = 1  # item 5 has no event and is what item 1 is, after which item 3 comes
    fitted = fit_sequence_memory(sequences(*known), N_ITEMS, DESCRIBED, sparse.csr_matrix(twin))
    assert int(fitted.score(contexts([5])).argmax()) + 1 == 3
    assert not fit_sequence_memory(sequences(*known), N_ITEMS, DESCRIBED).score(contexts([5])).any()


@pytest.mark.parametrize(
    ("config", "attributes"),
    [
        (DESCRIBED.model_copy(update={"attribute_weight": 0.0}), sparse.csr_matrix(ATTRIBUTES)),
        (DESCRIBED, sparse.csr_matrix((N_ITEMS, 0), dtype=np.float32)),
        (DESCRIBED, sparse.csr_matrix((N_ITEMS, 3), dtype=np.float32)),
    ],
)
def test_attributes_that_say_or_count_nothing_change_nothing(sequences, config, attributes):
    found = fit_sequence_memory(sequences(*USERS), N_ITEMS, config, attributes).weights
    assert torch.equal(found, fit_sequence_memory(sequences(*USERS), N_ITEMS, STACKED).weights)


def test_it_is_rebuilt_from_its_settings_and_tensors(sequences, contexts):
    fitted = fit_sequence_memory(sequences(*USERS), N_ITEMS, STACKED)
    again = rebuilt("memory", json.loads(json.dumps(fitted.settings())), fitted.tensors())
    assert torch.equal(again.score(contexts([1, 2, 3], [])), fitted.score(contexts([1, 2, 3], [])))


def test_no_events_and_no_contexts_are_fine(sequences, contexts):
    fitted = fit_sequence_memory(sequences([], [3]), N_ITEMS, STACKED)
    assert not fitted.weights.any()
    assert fitted.score(contexts()).shape == (0, N_ITEMS)


def test_a_ridge_too_small_to_solve_with_is_named(sequences):
    config = MemoryConfig(decays=(1.0, 1.0), windows=(9, 9), ridges=(1e-12, 1e-12))
    with pytest.raises(TrainingError, match=r"memory.ridges is too small"):
        fit_sequence_memory(sequences(*USERS), N_ITEMS, config)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"decays": (0.5,)}, "the same number"),
        ({"decays": (0.5, 1.5)}, "less than or equal to 1"),
        ({"windows": (0, 40)}, "greater than or equal to 1"),
        ({"ridges": (200.0, 0.0)}, "greater than 0"),
        ({"decays": (), "windows": (), "ridges": ()}, "at least 1"),
        ({"windw": (1,)}, "Extra inputs"),
    ],
)
def test_settings_that_cannot_work_are_refused_at_once(wrong, told):
    with pytest.raises(ValidationError, match=told):
        MemoryConfig(**wrong)


@pytest.mark.parametrize("entries", [1, 3, 7])
def test_histories_made_in_parts_are_the_same(sequences, monkeypatch, entries):
    whole = decayed_prefixes(sequences(*USERS), N_ITEMS, 0.9, 5)
    monkeypatch.setattr("recsys.experts.linear._ENTRIES", entries)
    assert (decayed_prefixes(sequences(*USERS), N_ITEMS, 0.9, 5) != whole).nnz == 0
