"""Personal frequency and TIFU-kNN as baselines: tuned on the validation baskets, popular items first among ties."""

from __future__ import annotations

import numpy as np
import pytest

from recsys.context.sequences import Sequences, prefix_contexts
from recsys.evaluation.next_basket import training_sequences
from recsys.evaluation.repeat_baselines import (
    fit_personal_frequency,
    personal_frequency_trials,
    tifu_knn_grid,
    tifu_knn_trials,
)
from recsys.evaluation.tifu_knn import TifuKnnConfig
from recsys.experts.repeat import RepeatConfig

DAY = 86_400_000_000
N_ITEMS = 40


def habits(n_users: int = 12, weeks: int = 30) -> Sequences:
    """Every user buys three own items a week, and changes to three others for the last fifteen weeks."""
    week = np.repeat(np.arange(weeks), 3)
    own = np.concatenate(
        [(3 * user + np.tile(np.arange(3), weeks) + 15 * (week >= 15)) % N_ITEMS for user in range(n_users)]
    )
    return Sequences(
        user_ids=tuple(f"u{user:02}" for user in range(n_users)),
        offsets=np.arange(n_users + 1) * len(week),
        items=(own + 1).astype(np.int64),
        times=np.tile(week * 7 * DAY, n_users),
        values=np.ones(len(own), dtype=np.float32),
    )


WHOLE = habits()
TRAIN = training_sequences(WHOLE)


def test_equally_frequent_items_come_in_the_order_of_popularity_and_the_popular_rest_follows():
    train = Sequences(("u", "v"), np.array([0, 2, 5]), np.array([1, 2, 2, 3, 3]), np.arange(5), np.ones(5, np.float32))
    scorer = fit_personal_frequency(train, 4, RepeatConfig(half_life_days=None))
    [scores] = scorer(
        prefix_contexts(train, np.array([0]), np.array([2]), np.zeros((2, 0), np.float32), history_length=4)
    )
    assert scores.argsort(descending=True).tolist() == [1, 0, 2, 3]


def test_frequency_is_tried_without_decay_first_then_best_half_life_first():
    trials = personal_frequency_trials(WHOLE, TRAIN, N_ITEMS, half_lives=(10_000.0, 20.0))
    assert [trial.config.half_life_days for trial in trials] == [None, 20.0, 10_000.0]
    assert trials[1].ndcg > trials[0].ndcg
    assert trials[1].recall == 1


def test_tifu_knn_is_searched_in_two_stages_best_first():
    shapes = [TifuKnnConfig(group_decay=0.3), TifuKnnConfig(group_decay=1.0)]
    trials = tifu_knn_trials(WHOLE, TRAIN, N_ITEMS, shapes)
    assert len(trials) == len({trial.config for trial in trials}) == 2 + 12 - 1  # the mixes hold the best shape's own
    assert [trial.ndcg for trial in trials] == sorted((trial.ndcg for trial in trials), reverse=True)
    assert len({(t.config.group_decay, t.config.within_decay) for t in trials if t.config.neighbours != 300}) == 1


def test_the_grid_has_no_setting_twice():
    grid = list(tifu_knn_grid())
    assert len(grid) == len(set(grid))


def test_tuning_never_looks_at_the_test_month():
    before = personal_frequency_trials(WHOLE, TRAIN, N_ITEMS, half_lives=(20.0,))
    late = WHOLE.times >= WHOLE.times.max() - 25 * DAY
    other = Sequences(WHOLE.user_ids, WHOLE.offsets, np.where(late, 7, WHOLE.items), WHOLE.times, WHOLE.values)
    after = personal_frequency_trials(other, training_sequences(other), N_ITEMS, half_lives=(20.0,))
    assert [t.ndcg for t in after] == pytest.approx([t.ndcg for t in before])
    assert [t.recall for t in after] == pytest.approx([t.recall for t in before])
