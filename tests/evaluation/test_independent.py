"""Two groups of different users: right figures, honest intervals, users as the sample."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from recsys.evaluation.independent import Sums, compare_independent, imbalance, users_needed


def means(values) -> Sums:
    return Sums(np.asarray(values, np.float64), np.ones(len(values)))


def clicks(rng, users: int, rate: float) -> Sums:
    """Users who differ in how often they come and in how often they click."""
    shown = rng.geometric(0.3, users).astype(np.float64)
    own = rng.beta(2, 2 / rate - 2, users)
    return Sums(rng.binomial(shown.astype(int), own).astype(np.float64), shown)


def test_figures_are_ratios_of_sums():
    a, b = Sums(np.array([1.0, 3.0]), np.array([1.0, 7.0])), Sums(np.array([2.0, 2.0]), np.array([4.0, 1.0]))
    found = compare_independent(a, b, resamples=100)
    assert (found.figure_a, found.figure_b) == (0.5, 0.8)
    assert found.difference == pytest.approx(0.3)


def test_for_plain_means_it_agrees_with_welchs_test():
    rng = np.random.default_rng(0)
    a, b = rng.exponential(1.0, 800), rng.exponential(1.1, 500)
    found = compare_independent(means(a), means(b))
    welch = stats.ttest_ind(b, a, equal_var=False)
    interval = welch.confidence_interval(0.95)
    assert (found.low, found.high) == (pytest.approx(interval.low, abs=0.01), pytest.approx(interval.high, abs=0.01))
    assert found.p_value == pytest.approx(welch.pvalue, abs=0.02)


def test_equal_arms_are_called_different_as_often_as_the_level_says():
    """5 % of 400, within four standard errors."""
    rng = np.random.default_rng(1)
    called = sum(
        compare_independent(clicks(rng, 400, 0.1), clicks(rng, 150, 0.1), resamples=400, seed=n).p_value <= 0.05
        for n in range(400)
    )
    assert abs(called / 400 - 0.05) < 4 * np.sqrt(0.05 * 0.95 / 400)


def test_a_users_impressions_are_no_independent_observations():
    """Ten copies of each impression of a user change nothing; ten times the users narrow the interval."""
    one = clicks(np.random.default_rng(2), 300, 0.2)
    again = Sums(one.numerators * 10, one.denominators * 10)
    more = clicks(np.random.default_rng(3), 3_000, 0.2)
    width = [found.high - found.low for found in (compare_independent(x, x) for x in (one, again, more))]
    assert width[1] == pytest.approx(width[0])
    assert width[2] < width[0] / 2


def test_the_same_seed_gives_the_same_answer():
    rng = np.random.default_rng(4)
    a, b = clicks(rng, 100, 0.2), clicks(rng, 100, 0.2)
    assert compare_independent(a, b) == compare_independent(a, b)
    assert compare_independent(a, b).p_value >= 2 / 10_001


@pytest.mark.parametrize(("values", "wrong"), [([1.0], "two users"), ([1.0, np.nan], "NaN")])
def test_what_cannot_be_compared_is_refused(values, wrong):
    with pytest.raises(ValueError, match=wrong):
        compare_independent(means([1.0, 2.0]), means(values))


def test_with_as_many_users_as_are_needed_the_difference_is_mostly_found():
    """Power 80 % by design; of 200 experiments within four standard errors."""
    rng = np.random.default_rng(5)
    needed = users_needed(clicks(rng, 5_000, 0.2), clicks(rng, 5_000, 0.2), 0.04, share=0.25)
    found = sum(
        compare_independent(
            clicks(rng, int(needed * 0.75), 0.2), clicks(rng, int(needed * 0.25), 0.24), resamples=400, seed=n
        ).p_value
        <= 0.05
        for n in range(200)
    )
    assert abs(found / 200 - 0.8) < 4 * np.sqrt(0.8 * 0.2 / 200)


def test_a_smaller_difference_and_a_smaller_share_take_more_users():
    a, b = clicks(np.random.default_rng(6), 1_000, 0.2), clicks(np.random.default_rng(7), 1_000, 0.2)
    even, small, rare = (
        users_needed(a, b, difference, share=share) for difference, share in ((0.04, 0.5), (0.02, 0.5), (0.04, 0.1))
    )
    assert small == pytest.approx(4 * even, rel=0.01)
    assert rare > 2 * even


def test_without_any_outcome_nobody_can_say_how_many_users_it_takes():
    nothing = means(np.zeros(50))
    assert users_needed(nothing, nothing, 0.0, share=0.5) is None
    assert users_needed(nothing, nothing, 0.1, share=0.5) is None


def test_arms_of_the_wrong_size_are_noticed_and_of_the_right_size_are_not():
    assert imbalance((9_000, 1_000), 0.1) == 1.0
    assert imbalance((9_000, 1_090), 0.1) > 0.001
    assert imbalance((9_000, 1_200), 0.1) < 0.001


def test_few_expected_users_are_no_imbalance():
    """Six where one is expected happens once in 1,700 times; χ² says once in a million."""
    assert imbalance((994, 6), 0.001) == pytest.approx(0.0006, abs=0.0001)
    assert imbalance((0, 0), 0.5) == 1.0
