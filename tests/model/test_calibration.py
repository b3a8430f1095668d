"""Calibration is a rising line on log-odds that stays within [0, 1] and survives the snapshot."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.model.calibration import Calibration, Line, fit_calibration, fit_line

ONE = np.ones(1)
pairs = st.lists(st.tuples(st.floats(0, 1), st.booleans()), max_size=40)


@given(pairs)
def test_it_rises_within_0_and_1_and_survives_json(drawn):
    softmax = np.array([p for p, _ in drawn])[:, None]
    fitted = fit_calibration(softmax, np.array([hit for _, hit in drawn])[:, None], np.ones(len(drawn)), baskets=False)
    mapped = fitted.probabilities(np.linspace(0, 1, 101)[None], ONE)[0]
    assert np.isfinite(mapped).all()
    assert (np.diff(mapped) >= 0).all()
    assert mapped.min() >= 0
    assert mapped.max() <= 1
    assert Calibration.from_dict(json.loads(json.dumps(fitted.to_dict()))) == fitted


def test_without_a_pair_nothing_is_changed():
    grid = np.linspace(0, 1, 11)[None]
    none = np.zeros((0, 3))
    fitted = fit_calibration(none, none, np.ones(0), baskets=False)
    assert fitted.probabilities(grid, ONE) == pytest.approx(grid)


def test_over_confidence_is_corrected():
    rng = np.random.default_rng(0)
    softmax = rng.random(20_000)
    odds = 0.5 * np.log(softmax / (1 - softmax)) - 1
    hits = rng.random(20_000) < 1 / (1 + np.exp(-odds))
    fitted = fit_line(softmax, hits)
    assert fitted.slope == pytest.approx(0.5, abs=0.05)
    assert fitted.intercept == pytest.approx(-1, abs=0.05)
    assert fitted.of(softmax).mean() == pytest.approx(hits.mean(), abs=1e-3)


def test_what_is_impossible_stays_so_and_the_shape_stays():
    said = Calibration(Line(0.5, 3.0)).probabilities(np.array([[0.0, 0.3], [1e-9, 1.0]], np.float32), np.ones(2))
    assert said.shape == (2, 2)
    assert said[0, 0] == 0
    assert 0 < said[1, 0] < said[0, 1] < said[1, 1] <= 1


def lists_that_come_true_half_as_often(n: int = 20_000):
    rng = np.random.default_rng(1)
    softmax = np.sort(rng.random((n, 3)) / 4, axis=1)[:, ::-1]
    chosen = rng.random(n)[:, None] * 2 < softmax.cumsum(1)
    hits = chosen & (chosen.cumsum(1) == 1)
    return softmax, hits


def test_lists_are_corrected_on_their_own():
    softmax, hits = lists_that_come_true_half_as_often()
    before = Calibration().list_probabilities(softmax, baskets=False)
    np.testing.assert_allclose(before, softmax.sum(1), atol=1e-6)
    fitted = fit_calibration(softmax, hits, np.ones(len(hits)), baskets=False)
    after = fitted.list_probabilities(fitted.probabilities(softmax, np.ones(len(hits))), baskets=False)
    assert after.mean() == pytest.approx(hits.any(1).mean(), abs=1e-3)
    high = before > np.quantile(before, 0.8)
    assert after[high].mean() == pytest.approx(hits[high].any(1).mean(), abs=0.03)


def test_of_a_basket_each_item_is_missed_on_its_own_account():
    said = Calibration().list_probabilities(np.array([[0.5, 0.5], [0.5, 0.0]]), baskets=True)
    np.testing.assert_allclose(said, [0.75, 0.5], rtol=1e-6)


def test_items_that_sum_to_more_than_one_do_not_bend_the_line_of_lists():
    rng = np.random.default_rng(2)
    sure = np.full((300, 3), 0.4)  # of these nine in ten come true
    plain = rng.uniform(0.05, 0.15, (2_000, 3))
    items = np.concatenate([sure, plain])
    came = rng.random(len(items)) < np.concatenate([np.full(300, 0.9), plain.sum(1)])
    hits = np.zeros((len(items), 3), bool)
    hits[came, 0] = True
    fitted = fit_line(np.minimum(items.sum(1), 0.999), came)
    assert fit_calibration(items, hits, np.ones(len(hits)), baskets=False).any_of_list.slope > 0.3
    assert fitted.of(np.array([0.3]))[0] == pytest.approx(0.3, abs=0.1)


def test_an_item_is_the_likelier_in_a_basket_the_more_its_owner_usually_takes():
    rng = np.random.default_rng(3)
    softmax, sizes = rng.uniform(0.01, 0.2, (20_000, 3)), rng.uniform(1, 20, 20_000)
    hits = rng.random(softmax.shape) < 1 - (1 - softmax) ** sizes[:, None]
    fitted = fit_calibration(softmax, hits, sizes, baskets=True)
    said = fitted.probabilities(softmax, sizes)
    for some in (sizes < 5, sizes > 15):
        assert said[some].mean() == pytest.approx(hits[some].mean(), rel=0.05)
    assert fitted.item.per_size > 0.5
    assert Calibration.from_dict(json.loads(json.dumps(fitted.to_dict()))) == fitted
    assert fit_calibration(softmax, hits, sizes, baskets=False).item.per_size == 0


def test_an_empty_list_never_comes_true_whatever_the_line():
    line = Calibration(any_of_list=Line(0.5, 2.0))
    assert line.list_probabilities(np.zeros((1, 3)), baskets=False).tolist() == [0.0]


@pytest.mark.parametrize("outcome", [False, True])
def test_outcomes_that_are_all_alike_teach_no_line(outcome):
    assert fit_line(np.linspace(0.1, 0.4, 5), np.full(5, outcome)) == Line()


def test_a_line_that_would_turn_the_order_round_is_not_taken():
    softmax = np.linspace(0.05, 0.95, 40)
    assert fit_line(softmax, softmax < 0.5) == Line()


@pytest.mark.parametrize(
    "raw",
    [
        {"predicted": [0.0, 1.0], "observed": [0.0, 1.0]},
        {"item": [1.0, 0.0], "any_of_list": [1.0, 0.0]},
        {"item": {"slope": 0.0, "intercept": 0.0}, "any_of_list": {"slope": 1.0, "intercept": 0.0}},
        {"item": {"slope": 1.0, "bias": 0.0}, "any_of_list": {"slope": 1.0, "intercept": 0.0}},
        {"item": {"slope": 1.0, "intercept": 0.0, "per_size": float("inf")}, "any_of_list": {"slope": 1.0}},
        {"item": {"slope": 1.0, "intercept": float("nan")}, "any_of_list": {"slope": 1.0, "intercept": 0.0}},
    ],
)
def test_another_form_is_refused(raw):
    with pytest.raises((KeyError, TypeError, ValueError)):
        Calibration.from_dict(raw)
