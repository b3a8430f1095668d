"""Calibration is fitted on the validation targets of a fourth of the users, and on nobody else's."""

import numpy as np
import pytest

from recsys.evaluation.calibrating import calibrated, calibrates
from recsys.evaluation.protocol import Split
from recsys.model.calibration import Calibration

USERS = 400
IDS = [f"u{user}" for user in range(USERS)]


@pytest.fixture
def split_and_reader(parity_users):
    """Users whose own head is right for every second of those who calibrate, and never for anybody else."""
    rows, targets = parity_users(USERS)
    helped = np.flatnonzero(calibrates(IDS))
    right = set(helped[::2])
    targets = [target if user in right else rows[user].history_items[-1] for user, target in enumerate(targets)]
    asked = []

    class Reader:
        def as_of(self, users, moments):
            asked.extend(users)
            assert list(moments) == [IDS.index(user) for user in users]
            return [rows[IDS.index(user)] for user in users]

    return Split("validation", tuple(IDS), tuple(targets), tuple(range(USERS))), Reader(), asked


def test_a_fourth_of_the_users_calibrates_whatever_order_they_come_in():
    helped = calibrates(IDS)
    assert 0.15 < helped.mean() < 0.35
    assert np.array_equal(calibrates(IDS[::-1]), helped[::-1])


def test_probabilities_become_the_frequencies_of_those_who_calibrate(by_parity, split_and_reader):
    split, reader, asked = split_and_reader
    found = calibrated(by_parity, reader, split)
    helped = calibrates(IDS)
    assert asked == [user for user, own in zip(IDS, helped, strict=True) if own], "nobody else's context is read"
    assert found.model is by_parity.model
    assert found.calibration != Calibration()
    rows = reader.as_of(IDS, list(range(USERS)))
    share = found.probabilities(rows).max(1).values[helped].mean()
    assert share == pytest.approx(0.5, abs=0.1), "the best item is the next one for every second"


def test_where_nobody_calibrates_nothing_changes(by_parity):
    others = tuple(user for user, own in zip(IDS, calibrates(IDS), strict=True) if not own)[:2]
    split = Split("validation", others, ("i01", "i02"), (0, 0))
    assert calibrated(by_parity, None, split) is by_parity
