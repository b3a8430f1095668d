"""Only the largest weights of each row are kept, and score as the dense ones would with the others zero."""

import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.experts import top_weights
from recsys.experts.kinds import rebuilt
from recsys.experts.memory import MemoryConfig, SequenceMemory, fit_sequence_memory
from recsys.experts.top_weights import TopWeights

N_ITEMS = 6
USERS = ([1, 2, 3, 4, 5, 6, 1], [2, 3, 2, 2, 5], [6], [], [4, 1, 3, 6])
STACKED = MemoryConfig(decays=(0.5, 0.9), windows=(2, 5), ridges=(1.5, 4.0))
HISTORIES = ([1, 2, 3, 4, 5, 6, 1], [2, 2], [5], [])


def thinned(weights: torch.Tensor, top: int) -> torch.Tensor:
    """The dense weights with all but the largest of each row zero."""
    ranks = weights.abs().argsort(-1, descending=True).argsort(-1)
    return torch.where(ranks < top, weights, 0.0)


@pytest.mark.parametrize("top", [1, 3, N_ITEMS, 50])
def test_scores_equal_those_of_the_dense_memory_with_the_small_weights_zero(sequences, contexts, top):
    whole = fit_sequence_memory(sequences(*USERS), N_ITEMS, STACKED)
    kept = fit_sequence_memory(sequences(*USERS), N_ITEMS, STACKED.model_copy(update={"top": top}))
    dense = SequenceMemory(thinned(whole.weights, top), whole.decays, whole.windows)
    torch.testing.assert_close(kept.score(contexts(*HISTORIES)), dense.score(contexts(*HISTORIES)))
    assert kept.score(contexts()).shape == (0, N_ITEMS)


def test_it_holds_that_many_a_row_and_no_more(sequences):
    kept = fit_sequence_memory(sequences(*USERS), N_ITEMS, STACKED.model_copy(update={"top": 2})).weights
    assert int(kept.offsets.diff(dim=1).max()) == 2
    assert len(kept.weights) <= 2 * 2 * N_ITEMS


@settings(deadline=None, max_examples=30)
@given(
    seed=st.integers(0, 2**16),
    histories=st.integers(1, 3),
    top=st.integers(1, 7),
    length=st.integers(0, 9),
    entries=st.integers(1, 40),
)
def test_any_weights_and_histories_in_parts_of_any_size(seed, histories, top, length, entries):
    rng = np.random.default_rng(seed)
    weights = rng.normal(size=(histories, N_ITEMS + 1, N_ITEMS)) * (rng.random((histories, N_ITEMS + 1, N_ITEMS)) < 0.7)
    dense = torch.from_numpy(weights).float()
    dense[:, 0] = 0
    kept = TopWeights.of(dense, top)
    assert torch.equal(kept.dense(), thinned(dense, top))
    history = torch.from_numpy(rng.integers(0, N_ITEMS + 1, (5, length)))
    strength = torch.tensor([0.7**age for age in reversed(range(length))])
    for with_mkl in {torch.backends.mkl.is_available(), False}:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(top_weights, "_ENTRIES", entries)
            patch.setattr(torch.backends.mkl, "is_available", lambda with_mkl=with_mkl: with_mkl)
            for which in range(histories):
                expected = (thinned(dense, top)[which][history] * strength[None, :, None]).sum(1)
                torch.testing.assert_close(kept.decayed_sum(which, history, 0.7), expected)


def test_it_is_rebuilt_from_its_settings_and_tensors(sequences, contexts):
    fitted = fit_sequence_memory(sequences(*USERS), N_ITEMS, STACKED.model_copy(update={"top": 2}))
    assert set(fitted.tensors()) == {"offsets", "columns", "weights"}
    again = rebuilt("memory", json.loads(json.dumps(fitted.settings())), fitted.tensors())
    assert torch.equal(again.score(contexts(*HISTORIES)), fitted.score(contexts(*HISTORIES)))


@pytest.mark.parametrize(
    "change",
    [
        {"columns": torch.tensor([N_ITEMS], dtype=torch.int32)},
        {"columns": torch.tensor([-1], dtype=torch.int32)},
        {"weights": torch.zeros(2)},
        {"offsets": torch.tensor([[0, 1, 0, 1, 1, 1, 1, 1]])},
    ],
)
def test_tensors_that_do_not_belong_together_are_refused(change):
    dense = torch.zeros(1, N_ITEMS + 1, N_ITEMS)
    dense[0, 1, 3] = 0.5
    tensors = dict(TopWeights.of(dense, 1).tensors())
    assert TopWeights.rebuild(tensors).n_items == N_ITEMS
    with pytest.raises(ValueError, match="columns"):
        TopWeights.rebuild(tensors | change)
