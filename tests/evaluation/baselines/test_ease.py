"""EASE is tuned on validation targets alone, from training events alone."""

import numpy as np
import pytest

from recsys.context.sequences import Sequences
from recsys.evaluation.baselines import EASE_RIDGES, LARGE_CATALOGUE_RIDGES, ease, tune_ease
from recsys.evaluation.protocol import training_sequences
from recsys.experts.long_term import LongTermConfig, fit_long_term_memory

N_ITEMS = 12


def sequences(rows) -> Sequences:
    return Sequences(
        tuple(map(str, range(len(rows)))),
        np.concatenate([[0], np.cumsum([len(row) for row in rows])]).astype(np.int64),
        np.concatenate(rows).astype(np.int64),
        np.zeros(sum(map(len, rows)), np.int64),
        np.ones(sum(map(len, rows)), np.float32),
    )


@pytest.fixture
def whole() -> Sequences:
    rng = np.random.default_rng(0)
    return sequences([rng.permutation(N_ITEMS)[: rng.integers(1, 9)] + 1 for _ in range(60)])


def brute_force_ndcg(whole: Sequences, train: Sequences, ridge: float) -> float:
    weights = fit_long_term_memory(train, N_ITEMS, LongTermConfig(ridge=ridge)).weights.numpy()
    gains = []
    for user in range(len(whole)):
        items = whole.items[whole.offsets[user] : whole.offsets[user + 1]]
        if len(items) < 3:
            continue
        known, target = items[:-2], items[-2]
        scores = weights[known].sum(0)
        others = [item for item in range(1, N_ITEMS + 1) if item != target and item not in known]
        rank = sum(scores[item - 1] >= scores[target - 1] for item in others)
        gains.append(1 / np.log2(rank + 2) if rank < 10 else 0)
    return float(np.mean(gains))


def test_the_ridge_is_the_best_on_validation_by_brute_force(whole):
    train = training_sequences(whole)
    tuned = tune_ease(whole, train, N_ITEMS, repeats=False)
    expected = {ridge: brute_force_ndcg(whole, train, ridge) for ridge in EASE_RIDGES}
    assert tuned.tried == pytest.approx(expected, abs=1e-3)
    assert tuned.tried[tuned.ridge] == max(tuned.tried.values())


def test_test_targets_play_no_part(whole):
    train = training_sequences(whole)
    items = whole.items.copy()
    items[whole.offsets[1:] - 1] = 1
    changed = Sequences(whole.user_ids, whole.offsets, items, whole.times, whole.values)
    evaluated = whole.lengths >= 3
    items[(whole.offsets[1:] - 1)[~evaluated]] = whole.items[(whole.offsets[1:] - 1)[~evaluated]]
    one = tune_ease(whole, train, N_ITEMS, repeats=False)
    other = tune_ease(changed, training_sequences(changed), N_ITEMS, repeats=False)
    assert one.tried == other.tried


def test_where_items_repeat_seen_ones_stay_in_the_ranking():
    again = sequences([[1, 2, 1, 3]] * 3 + [[4, 1, 2]] * 3)
    train = training_sequences(again)
    masked = tune_ease(again, train, N_ITEMS, repeats=False)
    unmasked = tune_ease(again, train, N_ITEMS, repeats=True)
    assert masked.tried != unmasked.tried


def test_large_catalogues_get_fewer_tries(whole, monkeypatch):
    monkeypatch.setattr(ease, "_LARGE_CATALOGUE", 5)
    assert set(tune_ease(whole, training_sequences(whole), N_ITEMS, repeats=False).tried) == set(LARGE_CATALOGUE_RIDGES)
