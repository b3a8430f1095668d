"""Directions in which heads differ, and swaps that leave nobody in place."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.metrics.personalisation import derangement, effective_rank, sampled_pairs


def test_rows_that_differ_along_one_line_have_rank_one():
    rng = np.random.default_rng(0)
    line = 5 + np.outer(rng.normal(size=50), rng.normal(size=8))
    assert effective_rank(line) == pytest.approx(1)


def test_rows_that_differ_in_all_ways_alike_have_full_rank():
    rng = np.random.default_rng(0)
    assert effective_rank(rng.normal(size=(20_000, 6))) == pytest.approx(6, abs=0.01)
    assert 1 < effective_rank(rng.normal(size=(500, 6)) * [10, 1, 0.1, 0.1, 0.1, 0.1]) < 3


def test_equal_rows_have_no_rank():
    assert effective_rank(np.full((9, 4), 0.3, dtype=np.float32)) == 0
    assert effective_rank(np.ones((1, 4))) == 0


@given(st.integers(2, 300), st.integers(0, 5))
def test_a_derangement_is_a_permutation_without_a_fixed_point(n, seed):
    swapped = derangement(n, np.random.default_rng(seed))
    assert sorted(swapped.tolist()) == list(range(n))
    assert (swapped != np.arange(n)).all()
    assert swapped.tolist() == derangement(n, np.random.default_rng(seed)).tolist()


@pytest.mark.parametrize("n", [0, 1])
def test_nobody_can_be_swapped_with_nobody(n):
    with pytest.raises(ValueError, match="it takes two"):
        derangement(n, np.random.default_rng(0))


def test_sampled_pairs_are_of_two():
    pairs = sampled_pairs(5, 1_000, np.random.default_rng(0))
    assert (pairs[:, 0] != pairs[:, 1]).all()
    assert set(pairs.ravel().tolist()) == set(range(5))
    assert sampled_pairs(1, 10, np.random.default_rng(0)).shape == (0, 2)
