"""One pass measures every user under every scorer, and keeps users, never users by items."""

import numpy as np
import pytest
import torch

from recsys.evaluation.full_ranking import MODEL, SHARED_BLEND, random_blocks, rank_targets
from recsys.evaluation.head_controls import MEAN_HEAD, OTHERS_HEAD, head_number_names, select_heads
from recsys.evaluation.measurement import measure
from recsys.model.head import HeadWeights


def constant(context):
    return torch.full((len(context), 30), 2.5)


def test_a_model_whose_heads_are_right_is_right_for_everybody(by_parity, parity_users):
    rows, targets = parity_users(300)
    measured = measure(by_parity, rows, targets, {})
    assert measured.ranks[MODEL].tolist() == [0] * 300
    assert measured.accuracy()[MODEL] == pytest.approx(dict.fromkeys(measured.accuracy()[MODEL], 1.0))
    assert measured.hits[:, 0].all()
    assert measured.hits.sum() == 300


def test_another_users_head_and_the_mean_head_are_worse_than_ones_own(by_parity, parity_users):
    measured = measure(by_parity, *parity_users(300), {})
    wrong = (measured.ranks[OTHERS_HEAD] > 0).mean()
    assert 0.35 < wrong < 0.65, "about half of the users are handed a head of the other kind"
    assert measured.ranks[MEAN_HEAD].tolist() == measured.ranks[SHARED_BLEND].tolist(), "both weigh the experts alike"
    for other in (OTHERS_HEAD, MEAN_HEAD, SHARED_BLEND):
        assert measured.log_losses[other].mean() > measured.log_losses[MODEL].mean() + 0.5


def test_a_constant_scorer_gets_nothing(by_parity, parity_users):
    accuracy = measure(by_parity, *parity_users(40), {"constant": constant}).accuracy()["constant"]
    for metric in ("ndcg@5", "ndcg@10", "ndcg@20", "hr@5", "hr@10", "hr@20", "gauc"):
        assert accuracy[metric] == 0, metric


def test_what_is_measured_of_a_user_does_not_hang_on_the_others(by_parity, parity_users):
    rows, targets = parity_users(400)
    together, alone = measure(by_parity, rows, targets, {}), measure(by_parity, rows[:9], targets[:9], {})
    for name in (MODEL, SHARED_BLEND):
        assert together.ranks[name][:9].tolist() == alone.ranks[name].tolist()
        assert together.log_losses[name][:9] == pytest.approx(alone.log_losses[name])
        assert together.lists[name][:9].tolist() == alone.lists[name].tolist()
    assert together.heads[:9].tolist() == alone.heads.tolist()
    assert together.probabilities[:9] == pytest.approx(alone.probabilities)
    assert together.ranks[MODEL].tolist() == rank_targets(by_parity, rows, targets, {})[MODEL].tolist()


def test_the_loss_is_that_of_the_softmax_over_unmasked_items(by_parity, parity_users):
    rows, targets = parity_users(3)
    measured = measure(by_parity, rows, targets, {})
    for user, row in enumerate(rows):
        scores = by_parity.score([row])[0].double()
        open_to = [j for j, item in enumerate(by_parity.vocabulary) if item not in row.seen_items]
        shares = torch.softmax(scores[open_to], 0)
        own = shares[open_to.index(by_parity.vocabulary.index(targets[user]))]
        assert measured.log_losses[MODEL][user] == pytest.approx(-np.log(float(own)))
        assert measured.candidates[user] == len(open_to)
        assert measured.probabilities[user] == pytest.approx(
            sorted(by_parity.probabilities([row])[0].tolist(), reverse=True)[:10], abs=1e-6
        )


def test_a_target_that_cannot_be_recommended_ranks_last_and_has_no_loss(by_parity, parity_users):
    rows, targets = parity_users(3)
    measured = measure(by_parity, rows, ["unheard-of", rows[1].seen_items[0], targets[2]], {})
    assert measured.possible.tolist() == [False, False, True]
    assert np.isinf(measured.log_losses[MODEL]).tolist() == [True, True, False]
    assert measured.ranks[MODEL].tolist() == [30, 30, 0]
    assert measured.hits.any(1).tolist() == [False, False, True]


def test_lists_count_as_often_as_they_were_made(by_parity, parity_users):
    measured = measure(by_parity, *parity_users(50), {"constant": constant})
    assert {name: int(own.sum()) for name, own in measured.recommended.items()} == dict.fromkeys(measured.ranks, 500)
    assert (np.bincount(measured.lists[MODEL].ravel(), minlength=30) == measured.recommended[MODEL]).all()


def test_one_user_alone_has_no_controls(by_parity, parity_users):
    assert OTHERS_HEAD not in measure(by_parity, *parity_users(1), {}).ranks


@pytest.mark.parametrize(("users", "n_items"), [(0, 10), (1, 10), (257, 10), (513, 10), (1000, 100_000), (7, 10**9)])
def test_blocks_hold_every_user_once_and_nobody_alone(users, n_items):
    blocks = random_blocks(users, n_items)
    assert sorted(np.concatenate([*blocks, []]).tolist()) == list(range(users))
    assert all(len(block) > 1 for block in blocks) or users == 1
    assert all(len(block) <= 256 and len(block) * n_items <= max(4_000_000, 3 * n_items) for block in blocks)


def test_each_number_of_a_head_has_a_name():
    heads = HeadWeights(torch.ones(3, 2), torch.ones(3), torch.ones(3, 4), core=torch.ones(3, 2, 2))
    names = head_number_names(heads, ("body", "memory"))
    assert names[:5] == ["gain: body", "gain: memory", "log temperature", "film 0", "film 1"]
    assert len(names) == len(set(names)) == heads.flat().shape[1]


def test_heads_are_handed_round_whole():
    heads = HeadWeights(torch.arange(6.0).view(3, 2), torch.arange(3.0), film=torch.arange(12.0).view(3, 4))
    order = np.array([2, 0, 1])
    assert select_heads(heads, order).flat().tolist() == heads.flat()[order].tolist()
