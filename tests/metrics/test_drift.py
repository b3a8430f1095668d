"""Distances between two samples: zero for the same one, those of a hand calculation, and large where they should be."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.metrics.drift import categorical_stability, kolmogorov_smirnov, numeric_stability

NAN = float("nan")
numbers = st.lists(st.floats(-1e9, 1e9) | st.just(NAN), min_size=1, max_size=40).map(np.array)


def test_categories_by_hand():
    # a: 3 of 4 then 1 of 4, half an event added to each: 3.5/5 and 1.5/5; b the other way round.
    expected = 2 * (0.7 - 0.3) * math.log(0.7 / 0.3)
    assert categorical_stability(["a", "a", "a", "b"], ["a", "b", "b", "b"]) == pytest.approx(expected)


def test_a_category_that_is_new_and_one_that_is_missing_count():
    assert categorical_stability(["a"] * 50, ["b"] * 50) > 1
    assert categorical_stability(["a"] * 50, [None] * 50) > 1
    assert categorical_stability(["a"] * 50, ["a"] * 50) == 0


@given(numbers)
def test_a_sample_is_no_distance_from_itself_in_any_order(values):
    assert numeric_stability(values, values[::-1]) == pytest.approx(0, abs=1e-12)
    assert kolmogorov_smirnov(values, values[::-1])[0] == 0


@given(numbers, numbers)
def test_distances_are_finite_and_not_negative(then, now):
    assert 0 <= numeric_stability(then, now) < 100
    distance, p_value = kolmogorov_smirnov(then, now)
    assert 0 <= distance <= 1
    assert 0 <= p_value <= 1


def test_noise_is_stable_a_shift_is_not_and_more_missing_values_are_not():
    rng = np.random.default_rng(0)
    then, now = rng.normal(size=2_000), rng.normal(size=2_000)
    assert numeric_stability(then, now) < 0.05
    assert numeric_stability(then, now + 1) > 0.5
    assert numeric_stability(then, np.where(rng.random(2_000) < 0.4, NAN, now)) > 0.25


def test_a_constant_that_changed_is_another_population():
    assert numeric_stability(np.ones(100), np.ones(100)) == 0
    assert numeric_stability(np.ones(100), np.zeros(100)) > 1
    assert numeric_stability(np.ones(100), np.full(100, 2.0)) > 1


def test_the_distance_is_that_of_the_cumulative_distributions():
    assert kolmogorov_smirnov(np.array([1.0, 2.0, 3.0, NAN]), np.array([2.5, 3.0, 4.0]))[0] == pytest.approx(2 / 3)
    assert kolmogorov_smirnov(np.array([NAN]), np.array([1.0])) == (0.0, 1.0)
