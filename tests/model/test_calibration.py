"""Calibration is a monotone map into [0, 1] that survives the snapshot."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.model.calibration import Calibration, fit_calibration, fit_list_calibration

pairs = st.lists(st.tuples(st.floats(0, 1), st.sampled_from([0.0, 1.0])), max_size=40)


@given(pairs)
def test_it_is_monotone_within_0_and_1_and_survives_json(drawn):
    fitted = fit_calibration(np.array([p for p, _ in drawn]), np.array([hit for _, hit in drawn]))
    grid = np.linspace(0, 1, 101)
    mapped = fitted.probabilities(grid)
    assert np.isfinite(mapped).all()
    assert (np.diff(mapped) >= 0).all()
    assert mapped.min() >= 0
    assert mapped.max() <= 1
    again = Calibration.from_dict(json.loads(json.dumps(fitted.to_dict())))
    assert again == fitted


def test_without_a_pair_nothing_is_changed():
    grid = np.linspace(0, 1, 11)
    assert fit_calibration(np.zeros(0), np.zeros(0)).probabilities(grid).tolist() == pytest.approx(grid.tolist())


def test_over_confidence_is_corrected():
    rng = np.random.default_rng(0)
    softmax = rng.random(20_000)
    hits = (rng.random(20_000) < softmax / 2).astype(float)
    fitted = fit_calibration(softmax, hits)
    grid = np.array([0.2, 0.5, 0.8])
    np.testing.assert_allclose(fitted.probabilities(grid), grid / 2, atol=0.05)


def test_a_map_of_one_knot_is_constant_and_the_shape_stays():
    fitted = fit_calibration(np.array([0.3, 0.3]), np.array([0.0, 1.0]))
    assert fitted.probabilities(np.array([[0.0, 0.3], [0.9, 1.0]])).tolist() == [[0.5, 0.5], [0.5, 0.5]]


def lists_that_come_true_half_as_often(n: int = 20_000):
    rng = np.random.default_rng(1)
    softmax = np.sort(rng.random((n, 3)) / 4, axis=1)[:, ::-1]
    chosen = rng.random(n)[:, None] * 2 < softmax.cumsum(1)
    hits = chosen & (chosen.cumsum(1) == 1)
    return softmax, hits.astype(float)


def test_lists_are_corrected_on_their_own():
    softmax, hits = lists_that_come_true_half_as_often()
    identity = Calibration((0.0, 1.0), (0.0, 1.0))
    before = identity.list_probabilities(softmax, baskets=False)
    np.testing.assert_allclose(before, softmax.sum(1), atol=1e-6)
    after = fit_list_calibration(identity, softmax, hits, baskets=False).list_probabilities(softmax, baskets=False)
    assert after.mean() == pytest.approx(hits.any(1).mean(), abs=1e-3)
    high = before > np.quantile(before, 0.8)
    assert after[high].mean() == pytest.approx(hits[high].any(1).mean(), abs=0.03)


def test_of_a_basket_each_item_is_missed_on_its_own_account():
    identity = Calibration((0.0, 1.0), (0.0, 1.0))
    said = identity.list_probabilities(np.array([[0.5, 0.5], [0.5, 0.0]]), baskets=True)
    np.testing.assert_allclose(said, [0.75, 0.5], rtol=1e-6)


def test_an_empty_list_never_comes_true_whatever_the_line():
    line = Calibration((0.0, 1.0), (0.0, 1.0), list_slope=0.5, list_intercept=2.0)
    assert line.list_probabilities(np.zeros((1, 3)), baskets=False).tolist() == [0.0]


@pytest.mark.parametrize("outcome", [0.0, 1.0])
def test_lists_that_all_end_alike_teach_no_line(outcome):
    fitted = fit_calibration(np.array([0.2, 0.4]), np.array([0.0, 1.0]))
    assert fit_list_calibration(fitted, np.full((5, 2), 0.3), np.full((5, 2), outcome), baskets=False) == fitted


def test_a_line_that_would_turn_the_order_round_is_not_taken():
    identity = Calibration((0.0, 1.0), (0.0, 1.0))
    softmax = np.linspace(0.05, 0.95, 40)[:, None]
    assert fit_list_calibration(identity, softmax, softmax < 0.5, baskets=False) == identity
