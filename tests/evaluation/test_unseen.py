"""Unseen users are in no fit, no user is held out twice, and validation never meets a test target."""

import numpy as np
import pytest

from recsys.evaluation.cases import leave_one_out_cases
from recsys.evaluation.unseen import (
    ALL,
    CONTEXT_LENGTHS,
    context_name,
    held_out_users,
    relative_loss,
    unseen_cases,
    without_users,
)


def test_every_user_is_held_out_by_exactly_one_of_ten_seeds():
    shares = [held_out_users(1003, seed) for seed in range(10)]
    assert np.sort(np.concatenate(shares)).tolist() == list(range(1003))
    assert {len(share) for share in shares} == {100, 101}
    assert held_out_users(1003, 4).tolist() == shares[4].tolist()


def test_a_seed_beyond_the_shares_is_refused():
    with pytest.raises(ValueError, match="seeds are 0 to 9"):
        held_out_users(100, 10)


def test_held_out_users_have_no_events_left_and_others_all(two_tastes):
    held = held_out_users(len(two_tastes), 3)
    fitted = without_users(two_tastes, held)
    assert fitted.user_ids == two_tastes.user_ids
    assert fitted.lengths[held].tolist() == [0] * len(held)
    others = np.setdiff1d(np.arange(len(two_tastes)), held)
    assert fitted.take(others).items.tolist() == two_tastes.take(others).items.tolist()


def test_with_k_events_as_context_the_target_is_the_next_one(sequences_of):
    whole = sequences_of([[1, 2, 3, 4, 5], [6, 7, 8], [9, 10], [11, 12, 13, 14]])
    cases = unseen_cases(whole, np.array([0, 1, 2]), 1, "validation")
    assert (cases.users.tolist(), cases.known.tolist(), cases.targets.tolist()) == ([0, 1], [1, 1], [2, 7])
    empty = unseen_cases(whole, np.array([0, 1]), 0, "validation")
    assert (empty.known.tolist(), empty.targets.tolist()) == ([0, 0], [1, 6])


@pytest.mark.parametrize("known", CONTEXT_LENGTHS)
def test_validation_never_meets_a_test_target(two_tastes, known):
    cases = unseen_cases(two_tastes, np.arange(len(two_tastes)), known, "validation")
    assert len(cases) > 0
    assert (cases.known <= two_tastes.lengths[cases.users] - 2).all()


def test_all_events_is_leave_one_out_of_the_same_users(two_tastes):
    held = held_out_users(len(two_tastes), 0)
    for split in ("validation", "test"):
        warm, cases = leave_one_out_cases(two_tastes, split), unseen_cases(two_tastes, held, ALL, split)
        assert cases.users.tolist() == held.tolist()
        assert cases.targets.tolist() == warm.targets[held].tolist()


def test_names_and_relative_loss():
    assert [context_name(known) for known in CONTEXT_LENGTHS] == ["0", "1", "3", "5", "10", "all"]
    assert relative_loss(np.array([0, 99]), np.array([0, 0])) == pytest.approx(0.5)
    assert relative_loss(np.array([0]), np.array([2])) == pytest.approx(-1)
    assert np.isnan(relative_loss(np.array([0]), np.array([99])))
