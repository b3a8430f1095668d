"""Ranks and metrics agree with hand-counted figures, with scikit-learn, and with a plain loop."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import ndcg_score

from recsys.metrics.ranking import all_finite, hit_rate, ndcg, ranking_metrics, reciprocal_rank, target_ranks


def nothing_masked(scores: torch.Tensor) -> torch.Tensor:
    return torch.zeros(scores.shape, dtype=torch.bool)


def test_the_rank_counts_better_items_only():
    scores = torch.tensor([[0.1, 0.9, 0.5, 0.7]])
    ranks = [target_ranks(scores, torch.tensor([target]), nothing_masked(scores))[0] for target in range(4)]
    assert ranks == [3, 0, 2, 1]


def test_ties_lose():
    scores = torch.tensor([[0.5, 0.5, 0.5, 0.1]])
    assert target_ranks(scores, torch.tensor([1]), nothing_masked(scores)).tolist() == [2]


def test_a_constant_scorer_hits_nothing():
    scores = torch.full((7, 50), 3.25)
    ranks = target_ranks(scores, torch.arange(7), nothing_masked(scores))
    assert ranks.tolist() == [49] * 7
    assert ranking_metrics(ranks, (10,)) == pytest.approx({"ndcg@10": 0, "hr@10": 0, "mrr": 1 / 50})


def test_masked_items_stand_in_nobodys_way():
    scores = torch.tensor([[9.0, 8.0, 7.0, 6.0]])
    masked = torch.tensor([[True, False, True, False]])
    assert target_ranks(scores, torch.tensor([3]), masked).tolist() == [1]


def test_a_masked_item_with_a_tie_does_not_count_either():
    scores = torch.ones(1, 4)
    masked = torch.tensor([[True, True, False, False]])
    assert target_ranks(scores, torch.tensor([3]), masked).tolist() == [1]


@pytest.mark.parametrize("wrong", [math.nan, math.inf, -math.inf])
def test_a_score_that_is_not_finite_stops_the_evaluation(wrong):
    scores = torch.zeros(3, 5)
    scores[2, 4] = wrong
    with pytest.raises(ValueError, match="NaN or infinity"):
        target_ranks(scores, torch.zeros(3, dtype=torch.int64), nothing_masked(scores))


def test_large_scores_are_finite_even_where_their_sum_is_not():
    assert all_finite(torch.full((2, 3), 3e38))
    assert not all_finite(torch.tensor([3e38, 3e38, math.nan]))
    assert not all_finite(torch.tensor([math.inf, -math.inf]))


def test_nothing_to_rank_gives_no_ranks():
    assert (
        target_ranks(torch.zeros(0, 5), torch.zeros(0, dtype=torch.int64), nothing_masked(torch.zeros(0, 5))).size == 0
    )


def test_metrics_by_hand():
    ranks = np.array([0, 1, 4, 5, 9, 10])
    assert ndcg(ranks, 5).tolist() == pytest.approx([1, 1 / math.log2(3), 1 / math.log2(6), 0, 0, 0])
    assert hit_rate(ranks, 10).tolist() == [1, 1, 1, 1, 1, 0]
    assert reciprocal_rank(ranks).tolist() == pytest.approx([1, 1 / 2, 1 / 5, 1 / 6, 1 / 10, 1 / 11])
    assert set(ranking_metrics(ranks)) == {f"{m}@{k}" for m in ("ndcg", "hr") for k in (5, 10, 20, 50)} | {"mrr"}


@given(st.integers(1, 12), st.integers(2, 40), st.integers(0, 2**32 - 1), st.sampled_from([1, 5, 10]))
def test_ndcg_agrees_with_scikit_learn_where_nothing_ties(users: int, items: int, seed: int, k: int):
    rng = np.random.default_rng(seed)
    scores = rng.permuted(np.tile(np.arange(items, dtype=np.float32), (users, 1)), axis=1)
    targets = rng.integers(0, items, users)
    relevance = np.zeros((users, items))
    relevance[np.arange(users), targets] = 1
    ours = ndcg(
        target_ranks(torch.from_numpy(scores), torch.from_numpy(targets), torch.zeros(users, items, dtype=torch.bool)),
        k,
    )
    assert ours.mean() == pytest.approx(ndcg_score(relevance, scores, k=k))


@given(st.data())
def test_ranks_agree_with_a_plain_loop_over_ties_and_masks(data: st.DataObject):
    users, items = data.draw(st.integers(1, 5)), data.draw(st.integers(1, 9))
    value = st.sampled_from([-1.0, -0.0, 0.0, 0.5, 2.0])
    scores = data.draw(st.lists(st.lists(value, min_size=items, max_size=items), min_size=users, max_size=users))
    masks = data.draw(st.lists(st.lists(st.booleans(), min_size=items, max_size=items), min_size=users, max_size=users))
    targets = data.draw(st.lists(st.integers(0, items - 1), min_size=users, max_size=users))
    expected = [
        sum(own[j] >= own[target] and not masked[j] for j in range(items) if j != target)
        for own, masked, target in zip(scores, masks, targets, strict=True)
    ]
    found = target_ranks(torch.tensor(scores), torch.tensor(targets), torch.tensor(masks))
    assert found.tolist() == expected
