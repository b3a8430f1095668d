"""Probabilities that come true show a small error, distorted ones a large one."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.metrics.calibration import (
    brier_score,
    brier_skill,
    error_of_chance,
    expected_calibration_error,
    reliability,
)


def sample(n: int = 20_000) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    probabilities = rng.beta(1, 9, n)
    return probabilities, rng.random(n) < probabilities


def test_the_error_of_a_calibrated_sample_is_small_and_that_of_a_distorted_one_large():
    probabilities, outcomes = sample()
    right = expected_calibration_error(probabilities, outcomes)
    assert right < 0.01
    assert expected_calibration_error(np.sqrt(probabilities), outcomes) > 10 * right
    assert expected_calibration_error(probabilities / 2, outcomes) == pytest.approx(0.05, abs=0.005)


def test_the_error_of_chance_is_what_a_calibrated_sample_shows():
    for n in (300, 20_000):
        probabilities, outcomes = sample(n)
        assert expected_calibration_error(probabilities, outcomes) == pytest.approx(
            error_of_chance(probabilities), rel=0.5
        )
    assert error_of_chance(sample(300)[0]) > 4 * error_of_chance(sample(20_000)[0])


def test_bins_hold_equally_many_in_rising_order():
    probabilities, outcomes = sample(1_000)
    bins = reliability(probabilities, outcomes, 15)
    assert set(bins.count.tolist()) == {66, 67}
    assert (np.diff(bins.predicted) > 0).all()
    assert bins.count @ bins.observed == pytest.approx(outcomes.sum())
    assert bins.count @ bins.predicted == pytest.approx(probabilities.sum())


def test_the_error_by_hand():
    probabilities, outcomes = np.array([0.1, 0.9, 0.3, 0.7]), np.array([0, 1, 1, 1])
    bins = reliability(probabilities, outcomes, 2)
    assert bins.predicted == pytest.approx([0.2, 0.8])
    assert bins.observed == pytest.approx([0.5, 1.0])
    assert bins.error == pytest.approx((0.3 + 0.2) / 2)


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=40), st.integers(1, 50))
def test_the_error_lies_between_0_and_1_for_any_sample(pairs, bins):
    probabilities, outcomes = (np.array(column, dtype=float) for column in zip(*pairs, strict=True))
    found = reliability(probabilities, outcomes, bins)
    assert 0 <= found.error <= 1
    assert found.count.sum() == len(pairs)
    assert found.count.min() > 0


def test_skill_is_measured_against_the_base_rate():
    outcomes = np.array([0, 0, 0, 1])
    assert brier_score(np.full(4, 0.25), outcomes) == pytest.approx(0.1875)
    assert brier_skill(np.full(4, 0.25), outcomes) == pytest.approx(0)
    assert brier_skill(outcomes.astype(float), outcomes) == 1
    assert brier_skill(1.0 - outcomes, outcomes) < 0
    assert brier_skill(np.full(4, 0.1), np.zeros(4)) == 0, "where nothing ever happens, nothing can be saved"
