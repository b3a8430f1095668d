"""Calibration is a monotone map into [0, 1] that survives the snapshot."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.model.calibration import Calibration, fit_calibration

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
