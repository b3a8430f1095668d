"""A paired comparison covers the truth as often as it says, and users are its sample, not user-seed pairs."""

import numpy as np
import pytest

from recsys.evaluation.significance import compare_paired, holm, user_differences


def ndcg_like(rng, seeds: int, users: int) -> tuple[np.ndarray, float]:
    """Zero-inflated values whose seeds agree for most of a user's luck; returns them and their true mean."""
    luck = np.where(rng.random(users) < 0.3, rng.gamma(2.0, 0.2, users), 0.0)
    return luck + rng.normal(0, 0.05, (seeds, users)), 0.3 * 0.4


def test_the_difference_is_the_mean_over_users_and_seeds():
    a = np.array([[1.0, 2.0, 6.0], [3.0, 2.0, 0.0]])
    b = np.array([[0.0, 1.0, 2.0], [0.0, 1.0, 2.0]])
    found = compare_paired(a, b, resamples=200)
    assert found.difference == pytest.approx(4 / 3)
    assert (found.mean_a, found.mean_b) == (pytest.approx(14 / 6), 1.0)
    assert found.by_seed == (pytest.approx(2.0), pytest.approx(2 / 3))
    assert (found.users, found.seeds) == (3, 2)
    assert found.low <= found.difference <= found.high


def test_the_same_seed_gives_the_same_interval_and_another_seed_another():
    values, _ = ndcg_like(np.random.default_rng(0), 3, 100)
    nothing = np.zeros((1, 100))
    one, again, other = (compare_paired(values, nothing, resamples=300, seed=seed) for seed in (1, 1, 2))
    assert one == again
    assert (one.low, one.high) != (other.low, other.high)


def test_swapping_the_scorers_mirrors_the_comparison():
    rng = np.random.default_rng(0)
    a, b = rng.random((2, 300)), rng.random((2, 300)) - 0.05
    one, other = compare_paired(a, b, resamples=2000), compare_paired(b, a, resamples=2000)
    assert other.difference == pytest.approx(-one.difference)
    assert (other.low, other.high) == (pytest.approx(-one.high), pytest.approx(-one.low))
    assert one.p_value == pytest.approx(other.p_value)


def test_equal_scorers_do_not_differ():
    same = np.random.default_rng(0).random((3, 50))
    found = compare_paired(same, same, resamples=200)
    assert (found.difference, found.low, found.high, found.p_value) == (0, 0, 0, 1)
    assert not found.excludes_zero


def test_a_clear_difference_has_a_small_p_value_that_is_never_zero():
    rng = np.random.default_rng(0)
    found = compare_paired(rng.random((1, 400)) + 1, rng.random((1, 400)), resamples=1000)
    assert found.excludes_zero
    assert found.p_value == pytest.approx(2 / 1001)


def test_more_seeds_of_the_same_users_do_not_shrink_the_interval_as_more_users_would():
    values, _ = ndcg_like(np.random.default_rng(0), 1, 200)
    nothing = np.zeros((1, 200))
    once = compare_paired(values, nothing)
    copied = compare_paired(np.repeat(values, 25, axis=0), nothing)
    assert (copied.low, copied.high) == (pytest.approx(once.low), pytest.approx(once.high))


@pytest.mark.slow
def test_the_interval_covers_the_truth_as_often_as_it_says_and_pooled_pairs_would_not():
    rng = np.random.default_rng(7)
    covered, pooled, trials = 0, 0, 400
    for trial in range(trials):
        values, truth = ndcg_like(rng, 3, 150)
        found = compare_paired(values, np.zeros((1, 150)), resamples=500, seed=trial)
        wrong = compare_paired(values.reshape(1, -1), np.zeros((1, 450)), resamples=500, seed=trial)
        covered += found.low <= truth <= found.high
        pooled += wrong.low <= truth <= wrong.high
    assert 0.91 <= covered / trials <= 0.98
    assert pooled / trials < 0.85


@pytest.mark.slow
def test_without_a_difference_one_in_twenty_p_values_is_below_five_percent():
    rng = np.random.default_rng(3)
    small = 0
    for trial in range(400):
        a, _ = ndcg_like(rng, 2, 150)
        b, _ = ndcg_like(rng, 2, 150)
        small += compare_paired(a, b, resamples=500, seed=trial).p_value < 0.05
    assert 0.02 <= small / 400 <= 0.085


@pytest.mark.parametrize(
    ("a", "b", "message"),
    [
        (np.zeros((2, 5)), np.zeros((2, 6)), "cannot be paired"),
        (np.zeros((2, 5)), np.zeros((3, 5)), "cannot be paired"),
        (np.zeros((2, 1)), np.zeros((2, 1)), "at least two users"),
        (np.full((1, 5), np.nan), np.zeros((1, 5)), "NaN"),
    ],
)
def test_values_that_do_not_pair_up_are_refused(a, b, message):
    with pytest.raises(ValueError, match=message):
        user_differences(a, b)


def test_holm_by_hand():
    assert holm({"a": 0.01, "b": 0.04, "c": 0.03, "d": 0.005}) == pytest.approx(
        {"a": 0.03, "b": 0.06, "c": 0.06, "d": 0.02}
    )
    assert holm({"a": 0.6, "b": 0.7}) == {"a": 1.0, "b": 1.0}
    assert holm({"only": 0.04}) == {"only": 0.04}
    assert holm({}) == {}


def test_holm_keeps_the_order_of_the_claims_and_refuses_what_is_no_p_value():
    assert list(holm({"z": 0.5, "a": 0.1})) == ["z", "a"]
    with pytest.raises(ValueError, match="between 0 and 1"):
        holm({"a": 1.2})


def test_under_true_nulls_holm_seldom_rejects_anything():
    rng = np.random.default_rng(0)
    families = [holm({str(i): p for i, p in enumerate(rng.random(10))}) for _ in range(2000)]
    wrong = np.mean([min(family.values()) < 0.05 for family in families])
    assert 0.03 <= wrong <= 0.065
