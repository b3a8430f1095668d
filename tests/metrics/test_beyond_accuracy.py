"""Figures about lists, by hand."""

import numpy as np
import pytest

from recsys.metrics.beyond_accuracy import coverage, mean_overlap, mean_popularity, novelty, popularity_percentiles


def test_coverage_is_the_share_of_items_in_any_list():
    assert coverage(np.array([5, 0, 1, 0])) == 0.5


def test_novelty_is_the_surprise_of_what_is_recommended():
    training = np.array([7, 3, 1, 1])  # one more each: 8, 4, 2, 2 of 16
    assert novelty(np.array([4, 0, 0, 0]), training) == pytest.approx(1)
    assert novelty(np.array([0, 0, 0, 9]), training) == pytest.approx(3)
    assert novelty(np.array([1, 1, 0, 0]), training) == pytest.approx(1.5)
    assert np.isfinite(novelty(np.array([0, 1]), np.array([5, 0])))


def test_percentiles_put_equals_in_the_middle_of_their_kind():
    assert popularity_percentiles(np.array([9, 1, 1, 5])).tolist() == [0.875, 0.25, 0.25, 0.625]
    assert mean_popularity(np.array([1, 0, 0, 1]), np.array([9, 1, 1, 5])) == 0.75
    assert popularity_percentiles(np.full(6, 3)).tolist() == [0.5] * 6


def test_overlap_is_the_jaccard_similarity_of_pairs():
    lists = np.array([[1, 2, 3], [3, 4, 5], [1, 2, 3], [7, -1, -1], [-1, -1, -1]])

    def of(*pairs):
        return mean_overlap(lists, np.array(pairs))

    assert of((0, 1)) == pytest.approx(1 / 5)
    assert of((0, 2)) == 1
    assert of((0, 2), (0, 3)) == 0.5
    assert of((3, 4)) == of((4, 4)) == 0, "what is not in a list is nothing that two lists have in common"
