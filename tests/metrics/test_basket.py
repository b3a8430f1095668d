"""Metrics of target sets: against an independent library, and under the rule that ties lose."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from recsys.metrics.basket import (
    PADDING,
    basket_auc,
    basket_hit_rate,
    basket_log_loss,
    basket_metrics,
    basket_ndcg,
    basket_ranks,
    basket_recall,
    basket_reciprocal_rank,
    padded_targets,
)
from recsys.metrics.ranking import target_ranks


def ranks_of(scores, *baskets):
    columns = np.array([column for basket in baskets for column in basket], dtype=np.int64)
    sizes = np.array([len(basket) for basket in baskets])
    return basket_ranks(torch.tensor(scores), padded_targets(columns, sizes))


def test_ranks_are_places_in_the_ranking_best_target_first():
    ranks = ranks_of([[5.0, 4, 3, 2, 1], [1, 2, 3, 4, 5]], [4, 0, 2], [4])
    assert ranks.tolist() == [[0, 2, 4], [0, PADDING, PADDING]]


def test_ties_with_items_outside_the_basket_lose_and_ties_within_it_share_places():
    assert ranks_of([[1.0, 1, 1, 0]], [0, 1]).tolist() == [[1, 2]]
    assert ranks_of([[2.0, 2, 1, 1]], [0, 1]).tolist() == [[0, 1]]


def test_a_constant_scorer_gets_nothing():
    ranks = ranks_of([[0.5] * 60], [3, 7, 9])
    assert basket_metrics(ranks).pop("mrr") == pytest.approx(1 / 58), "57 items are before the best of the three"
    assert {value for name, value in basket_metrics(ranks).items() if name != "mrr"} == {0.0}
    assert basket_auc(ranks, np.array([60])).tolist() == [0]


def test_a_single_target_is_ranked_as_in_leave_one_out():
    scores = torch.from_numpy(np.random.default_rng(0).integers(0, 4, (50, 12)).astype(np.float32))
    targets = torch.arange(50) % 12
    expected = target_ranks(scores, targets, torch.zeros(50, 12, dtype=torch.bool))
    assert basket_ranks(scores, targets[:, None])[:, 0].tolist() == expected.tolist()


def test_ranks_of_many_ties_are_those_of_a_plain_loop():
    rng = np.random.default_rng(3)
    scores = rng.integers(0, 6, (60, 25)).astype(np.float32)
    baskets = [rng.choice(25, size, replace=False).tolist() for size in rng.integers(1, 9, 60)]
    ranks = ranks_of(scores, *baskets)
    for own, basket, found in zip(scores, baskets, ranks, strict=True):
        outside = np.delete(own, basket)
        best_first = sorted(own[basket], reverse=True)
        expected = [int((outside >= score).sum()) + place for place, score in enumerate(best_first)]
        assert found.tolist() == expected + [PADDING] * (ranks.shape[1] - len(basket))


def test_a_target_that_the_scorer_does_not_know_is_missed_but_counted():
    ranks = ranks_of([[3.0, 2, 1]], [0, 3])
    assert ranks.tolist() == [[0, 3]]
    assert basket_recall(ranks, 3).tolist() == [0.5]


def test_by_hand():
    ranks = ranks_of([[9.0, 8, 7, 6, 5, 4]], [0, 2, 5])
    assert basket_recall(ranks, 3)[0] == pytest.approx(2 / 3)
    assert basket_ndcg(ranks, 3)[0] == pytest.approx((1 + 1 / 2) / (1 + 1 / np.log2(3) + 1 / 2))
    assert basket_ndcg(ranks, 1)[0] == 1
    assert basket_hit_rate(ranks, 1)[0] == 1
    assert basket_hit_rate(ranks_of([[9.0, 8, 7]], [1, 2]), 1)[0] == 0
    assert basket_reciprocal_rank(ranks_of([[9.0, 8, 7]], [1, 2]))[0] == 1 / 2
    # Of the three items outside the set the targets are ahead of 3, 2 and 0.
    assert basket_auc(ranks, np.array([6]))[0] == pytest.approx((3 + 2 + 0) / 3 / 3)


def test_the_loss_is_the_mean_over_the_basket_of_what_may_be_recommended():
    shares = torch.tensor([[0.5, 0.25, 0.125, 0.125]]).log()
    assert basket_log_loss(shares, torch.tensor([[0, 2, PADDING]]))[0] == pytest.approx((np.log(2) + np.log(8)) / 2)
    hidden = shares.masked_fill(torch.tensor([[True, False, False, False]]), -torch.inf)
    assert basket_log_loss(hidden, torch.tensor([[0, 1]]))[0] == pytest.approx(np.log(2)), "the hidden one is left out"
    assert np.isinf(basket_log_loss(hidden, torch.tensor([[0, 4]])))[0], "4 is no column"


@pytest.mark.parametrize("wrong", [torch.nan, torch.inf, -torch.inf])
def test_a_score_that_is_not_finite_stops_the_evaluation(wrong):
    with pytest.raises(ValueError, match="NaN or infinity"):
        ranks_of([[1.0, wrong, 0]], [0])


def test_no_users_have_no_ranks():
    assert basket_ranks(torch.zeros(0, 5), padded_targets(np.zeros(0, np.int64), np.zeros(0, np.int64))).shape == (0, 0)


def test_the_figures_are_those_of_ir_measures():
    measures = pytest.importorskip("ir_measures", reason="the extra 'bench' (ir-measures) is not installed")
    rng = np.random.default_rng(1)
    users, items = 40, 30
    scores = rng.permuted(np.tile(np.arange(items, dtype=np.float32), (users, 1)), axis=1)
    baskets = [sorted(rng.choice(items, size, replace=False).tolist()) for size in rng.integers(1, 15, users)]
    own = basket_metrics(ranks_of(scores, *baskets), cutoffs=(5, 10))
    qrels = {str(user): {str(item): 1 for item in basket} for user, basket in enumerate(baskets)}
    run = {str(u): {str(i): float(scores[u, i]) for i in range(items)} for u in range(users)}
    names = {
        f"{name}@{k}": measure @ k
        for name, measure in (("recall", measures.R), ("ndcg", measures.nDCG), ("hr", measures.Success))
        for k in (5, 10)
    } | {"mrr": measures.RR}
    theirs = measures.calc_aggregate(list(names.values()), qrels, run)
    assert own == pytest.approx({name: theirs[measure] for name, measure in names.items()})


def test_auc_is_the_mean_over_the_basket_of_each_target_against_the_items_outside_it():
    from sklearn.metrics import roc_auc_score

    scores = np.random.default_rng(2).permutation(20).astype(np.float32)[None]
    basket = [3, 8, 15]
    truth = np.isin(np.arange(20), basket)
    assert basket_auc(ranks_of(scores, basket), np.array([20]))[0] == pytest.approx(roc_auc_score(truth, scores[0]))
