"""Coherence of a history: order, concentration and drift, told by the items' vectors."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from recsys.model.coherence import LAGS, MEANS, N_COHERENCE, SPANS, coherence, unit_vectors

EAST, NORTH, WEST, SOUTH = 1, 2, 3, 4
VECTORS = unit_vectors(torch.tensor([[9.0, 9], [1, 0], [0, 1], [-1, 0], [0, -1]]))
FIRST_LAG, SECOND_LAG = 0, 1


def of(*histories: list[int], length: int = 200) -> torch.Tensor:
    padded = [[0] * (length - len(one)) + one for one in histories]
    return coherence(torch.tensor(padded), VECTORS)


def likeness(row: torch.Tensor, span: int, lags: int) -> float:
    return float(row[span * len(LAGS) + lags])


def test_vectors_have_length_one_without_their_common_part():
    vectors = unit_vectors(torch.tensor([[7.0, 7], [3, 5], [1, 5]]))
    assert vectors.tolist() == [[0, 0], [1, 0], [-1, 0]]


def test_an_alternating_history_is_like_itself_two_steps_apart():
    (row,) = of([EAST, WEST] * 30)
    assert row.shape == (N_COHERENCE,)
    for span in range(len(SPANS)):
        assert likeness(row, span, FIRST_LAG) == pytest.approx(-1)
        assert likeness(row, span, SECOND_LAG) == pytest.approx(1)


def test_a_span_is_about_its_newest_events():
    (row,) = of([EAST, WEST] * 40 + [NORTH] * 12)
    assert likeness(row, 0, FIRST_LAG) == pytest.approx(1)
    assert likeness(row, 1, FIRST_LAG) < 0


def test_concentration_and_drift_compare_recent_and_older_events():
    (row,) = of([EAST] * 195 + [NORTH] * 5)
    concentration, drift = row[-2 * len(MEANS) : -len(MEANS)], row[-len(MEANS) :]
    assert concentration[0] == pytest.approx(1)
    assert concentration[1] == pytest.approx((15**2 + 5**2) ** 0.5 / 20)
    assert drift[0] == pytest.approx(5 / (15**2 + 5**2) ** 0.5)
    assert drift[1] < drift[0] < drift[2]


def test_too_few_events_tell_nothing():
    nothing, one = of([], [EAST])
    assert not nothing.any()
    assert not one[: len(LAGS) * len(SPANS)].any()


def test_short_windows_are_enough():
    (row,) = of([EAST, EAST, EAST], length=3)
    assert likeness(row, 0, FIRST_LAG) == pytest.approx(1)
    assert likeness(row, 0, 4) == 0


@given(st.lists(st.integers(1, 4), max_size=30), st.integers(30, 120))
def test_padding_changes_nothing_and_all_is_finite(history, length):
    padded, wide = of(history, length=length), of(history, length=200)
    torch.testing.assert_close(padded, wide)
    assert (wide.abs() <= 1 + 1e-5).all()
