"""One item or a basket a user: as columns, ranked among what may be recommended, found in lists."""

import numpy as np
import pytest
import torch

from recsys.context.encoder import ContextEncoder
from recsys.context.profile import ProfileEncoding
from recsys.evaluation.target_sets import TargetSets
from recsys.metrics.basket import PADDING

ENCODER = ContextEncoder(tuple("abcde"), ProfileEncoding(), 4)
NOTHING = torch.zeros(2, 5, dtype=torch.bool)
BOTH = np.arange(2)


def test_items_and_baskets_become_columns():
    single, baskets = TargetSets.of(["c", "?"], ENCODER), TargetSets.of([("c", "?", "a"), ("e",)], ENCODER)
    assert single.columns.tolist() == [[2], [5]]
    assert baskets.columns.tolist() == [[2, 5, 0], [4, PADDING, PADDING]]
    assert (single.baskets, baskets.baskets, TargetSets.of([("a",)], ENCODER).baskets) == (False, True, True)
    assert baskets.known.tolist() == [2, 0, 4]
    assert (len(single), len(TargetSets.of([], ENCODER))) == (2, 0)


def test_a_basket_of_one_is_ranked_like_an_item():
    rng = np.random.default_rng(0)
    scores = torch.from_numpy(rng.integers(0, 4, (40, 5)).astype(np.float32))
    masked = torch.from_numpy(rng.random((40, 5)) < 0.3)
    items = [["a", "c", "e", "?"][n % 4] for n in range(40)]
    alone = TargetSets.of(items, ENCODER).within(np.arange(40), masked)
    pairs = TargetSets.of([(item,) for item in items] + [("a", "b")], ENCODER).within(np.arange(40), masked)
    assert pairs.columns.shape[1] == 2, "the other way of ranking"
    assert alone.ranks(scores)[:, 0].tolist() == pairs.ranks(scores)[:, 0].tolist()
    assert alone.log_losses(scores) == pytest.approx(pairs.log_losses(scores))


def test_what_is_hidden_is_neither_ahead_nor_found():
    sets = TargetSets.of([("a", "b"), ("c", "d")], ENCODER)
    masked = NOTHING.clone()
    masked[0, [1, 2]] = True  # of the first user's basket b is hidden, and so is c
    own = sets.within(BOTH, masked)
    scores = torch.tensor([[1.0, 5, 4, 3, 2]]).repeat(2, 1)
    assert own.possible.tolist() == [[True, False], [True, True]]
    assert own.ranks(scores).tolist() == [[2, 5], [1, 2]]
    assert own.among(np.array([[3, 0, -1], [3, 2, 1]])).tolist() == [[False, True, False], [True, True, False]]


def test_padding_and_unknown_items_are_in_no_list():
    own = TargetSets.of([("a", "?"), ("b",)], ENCODER).within(BOTH, NOTHING)
    assert own.among(np.array([[0, -1], [4, -1]])).tolist() == [[True, False], [False, False]]
