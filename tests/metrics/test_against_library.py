"""Ranking metrics agree with ir-measures (pytrec_eval), an independent implementation, on random scores."""

import numpy as np
import pytest
import torch

from recsys.metrics.basket import basket_auc
from recsys.metrics.ranking import hit_rate, ndcg, reciprocal_rank, target_ranks

ir_measures = pytest.importorskip("ir_measures", reason="ir-measures comes with the extras dev and bench")

USERS, ITEMS = 200, 120


@pytest.fixture(scope="module")
def judged():
    """Scores without ties, targets and masks; and what the library says of each user."""
    rng = np.random.default_rng(0)
    scores = rng.permuted(np.tile(np.arange(ITEMS, dtype=np.float32), (USERS, 1)), axis=1)
    targets, masked = rng.integers(0, ITEMS, USERS), rng.random((USERS, ITEMS)) < 0.3
    masked[np.arange(USERS), targets] = False
    relevant = [ir_measures.Qrel(str(user), str(target), 1) for user, target in enumerate(targets)]
    run = [
        ir_measures.ScoredDoc(str(user), str(item), float(scores[user, item]))
        for user, item in zip(*np.nonzero(~masked), strict=True)
    ]
    return torch.from_numpy(scores), torch.from_numpy(targets), torch.from_numpy(masked), relevant, run


def library(measure, relevant, run) -> list[float]:
    found = {int(one.query_id): one.value for one in ir_measures.iter_calc([measure], relevant, run)}
    return [found[user] for user in range(USERS)]


@pytest.mark.parametrize("k", [5, 10, 20, 50])
def test_ndcg_and_hit_rate_agree_user_by_user(judged, k):
    *tensors, relevant, run = judged
    ranks = target_ranks(*tensors)
    assert ndcg(ranks, k) == pytest.approx(library(ir_measures.nDCG @ k, relevant, run))
    assert hit_rate(ranks, k) == pytest.approx(library(ir_measures.Success @ k, relevant, run))


def test_the_reciprocal_rank_agrees_user_by_user(judged):
    *tensors, relevant, run = judged
    assert reciprocal_rank(target_ranks(*tensors)) == pytest.approx(library(ir_measures.RR, relevant, run))


def test_auc_agrees_with_scikit_learn(judged):
    from sklearn.metrics import roc_auc_score

    scores, targets, masked, *_ = judged
    own = basket_auc(target_ranks(scores, targets, masked)[:, None], (~masked).sum(1).numpy())
    for user in range(0, USERS, 20):
        unmasked = ~masked[user]
        truth = torch.arange(ITEMS)[unmasked] == targets[user]
        assert own[user] == pytest.approx(roc_auc_score(truth.numpy(), scores[user][unmasked].numpy()))
