"""What is kept from the experts for the generator's sake: some users, or everybody's last basket."""

from dataclasses import replace

import numpy as np
import pytest

from recsys.errors import ConfigError, DataError
from recsys.training.generator import GeneratorConfig
from recsys.training.held_out import beginners, kept_back


def of(sequences, **settings):
    """What experts are fitted on, and how many of each user's events may become targets."""
    fitted, targets = kept_back(sequences, GeneratorConfig(**settings), np.random.default_rng(0), seed=0)
    return sequences.keep(fitted), np.bincount(sequences.owners[targets], minlength=len(sequences))


def test_of_users_all_events_are_kept_from_the_experts(make_sequences):
    sequences = make_sequences(*([1, 2, 3, 4] for _ in range(20)), [1], [])
    fit_on, targets = of(sequences, held_out_users=0.25, targets_per_user=2)
    held = np.flatnonzero(targets)
    assert len(held) == 5
    assert set(targets) == {0, 2}
    assert fit_on.user_ids == sequences.user_ids
    assert fit_on.lengths.tolist() == np.where(targets > 0, 0, sequences.lengths).tolist()


def test_of_last_events_everybody_keeps_the_others(make_sequences):
    sequences = make_sequences(*([1, 2, 3, 4] for _ in range(20)), [5], [])
    fit_on, targets = of(sequences, hold_out="last")
    assert targets.tolist() == [1] * 20 + [0, 0], "an only event is nobody's target"
    assert fit_on.user_ids == sequences.user_ids
    assert fit_on.items.tolist() == [1, 2, 3] * 20 + [5]


def test_of_several_last_events_half_are_always_left(make_sequences):
    sequences = make_sequences(*([1, 2, 3, 4] for _ in range(20)), [1, 2, 3, 4, 5, 6, 7], [5, 6, 7], [5, 6], [7])
    fit_on, targets = of(sequences, hold_out="last", held_out_events=3)
    assert targets.tolist() == [2] * 20 + [3, 1, 1, 0]
    assert fit_on.items.tolist() == [1, 2] * 20 + [1, 2, 3, 4] + [5, 6] + [5] + [7]


def test_beginnings_of_some_users_are_kept_from_the_experts_and_are_targets_too(make_sequences):
    sequences = make_sequences(*([1, 2, 3, 4, 5, 6] for _ in range(20)), [])
    settings = GeneratorConfig(hold_out="last", beginners=0.2, beginner_events=2)
    fitted, targets = kept_back(sequences, settings, np.random.default_rng(0), seed=3)
    assert np.array_equal(fitted, ~targets)
    new = beginners(sequences.user_ids[:-1], 0.2, 3)
    assert 0 < new.sum() < 20
    for is_new, own in zip(new, targets.reshape(20, 6).tolist(), strict=True):
        assert own == [is_new, is_new, is_new, False, False, True]


def test_beginners_are_drawn_by_name_so_that_they_stay_so_while_the_log_grows():
    names = tuple(f"user-{n}" for n in range(20_000))
    drawn = beginners(names, 0.05, 0)
    assert 850 < drawn.sum() < 1150
    assert beginners(names[7_000:], 0.05, 0).tolist() == drawn[7_000:].tolist()
    assert not (drawn & ~beginners(names, 0.1, 0)).any(), "a larger share holds the smaller one"
    assert beginners(names, 0.05, 1).tolist() != drawn.tolist()
    assert not beginners(names, 0.0, 0).any()


def test_histories_that_would_leave_nobody_two_events_are_refused(make_sequences):
    with pytest.raises(ConfigError, match=r"Set generator\.hold_out to users"):
        of(make_sequences(*([1, 2] for _ in range(20))), hold_out="last")


def test_of_baskets_the_whole_last_one_is_kept_back(make_sequences):
    own = make_sequences(*([1, 2, 3, 4, 5] for _ in range(10)), [5, 6])
    baskets = replace(own, times=np.array([1, 2, 3, 3, 3] * 10 + [1, 1]), baskets=True)
    fit_on, targets = of(baskets, hold_out="last")
    assert targets.tolist() == [3] * 10 + [0]
    assert fit_on.items.tolist() == [1, 2] * 10 + [5, 6]


def test_of_several_last_baskets_half_are_always_left(make_sequences):
    own = make_sequences(*([1, 2, 3, 4, 5] for _ in range(10)), [5, 6], [7, 8, 9], [])
    times = np.array([1, 1, 2, 3, 4] * 10 + [1, 1] + [1, 2, 2])
    fit_on, targets = of(replace(own, times=times, baskets=True), hold_out="last", held_out_events=3)
    assert targets.tolist() == [2] * 10 + [0, 2, 0]
    assert fit_on.items.tolist() == [1, 2, 3] * 10 + [5, 6] + [7]


@pytest.mark.parametrize("way", ["users", "last"])
def test_too_few_users_with_something_to_predict_are_refused(make_sequences, way):
    with pytest.raises(DataError, match="Only 9 users have two or more training events"):
        of(make_sequences(*([1, 2] for _ in range(9)), *([1] for _ in range(30))), hold_out=way)
