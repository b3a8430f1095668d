"""The ranking loss: log-loss and a smooth NDCG that is NDCG when sharp, falls with the target's rank, skips masks."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.metrics.ranking import ndcg, target_ranks
from recsys.model.losses import RankingLoss

N = 12
NOTHING = torch.zeros(1, N, dtype=torch.bool)


def drawn(seed: int, users: int = 6) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Scores, targets and masks, no target masked."""
    generator = torch.Generator().manual_seed(seed)
    items = torch.randint(0, N, (users,), generator=generator)
    masked = (torch.rand(users, N, generator=generator) < 0.3).scatter(1, items[:, None], value=False)
    return torch.randn(users, N, generator=generator), items, masked


def soft_ndcg(scores, items, masked, sharpness: float) -> float:
    """What the second part of the loss says on its own."""
    both, plain = RankingLoss(1.0, sharpness), RankingLoss(0.0, sharpness)
    return float(plain(scores, items, masked) - both(scores, items, masked))


def true_ndcg(scores, items, masked) -> float:
    return float(ndcg(target_ranks(scores, items, masked), N).mean())


@settings(max_examples=30)
@given(st.integers(0, 10_000))
def test_the_sharper_the_nearer_to_ndcg(seed):
    given_ = drawn(seed)
    expected = true_ndcg(*given_)
    assert soft_ndcg(*given_, sharpness=1e-5) == pytest.approx(expected, abs=2e-2)
    assert (
        abs(soft_ndcg(*given_, sharpness=1e-3) - expected) <= abs(soft_ndcg(*given_, sharpness=3.0) - expected) + 0.05
    )


def test_a_first_place_is_one_and_a_third_a_half():
    scores = torch.arange(N).float()[None]
    assert soft_ndcg(scores, torch.tensor([N - 1]), NOTHING, 1e-3) == pytest.approx(1.0, abs=1e-5)
    assert soft_ndcg(scores, torch.tensor([N - 3]), NOTHING, 1e-3) == pytest.approx(0.5, abs=1e-5)


@pytest.mark.parametrize("weight", [0.0, 1.0, 30.0])
def test_descending_the_loss_raises_the_targets_rank_to_the_first(weight):
    scores, items, masked = drawn(3)
    assert true_ndcg(scores, items, masked) < 0.9
    scores.requires_grad_()
    loss, optimizer = RankingLoss(weight, 0.3), torch.optim.Adam([scores], lr=0.1)
    told = []
    for _ in range(60):
        optimizer.zero_grad()
        found = loss(scores, items, masked)
        found.backward()
        optimizer.step()
        told.append(float(found.detach()))
    assert told[-1] < told[0]
    assert true_ndcg(scores.detach(), items, masked) == 1.0


@pytest.mark.parametrize("weight", [0.0, 30.0])
def test_masked_items_play_no_part(weight):
    scores, items, masked = drawn(4)
    loss = RankingLoss(weight, 0.1)
    other = torch.where(masked, 1e3, scores).requires_grad_()
    found = loss(other, items, masked)
    assert float(found.detach()) == pytest.approx(float(loss(scores, items, masked)), abs=1e-5)
    found.backward()
    assert not other.grad[masked].any()
    assert float(loss(scores, items, torch.zeros_like(masked))) > float(found.detach()), "unmasked they would count"


def test_without_a_weight_it_is_the_mean_log_loss():
    scores, items, masked = drawn(5)
    expected = -torch.log_softmax(scores.masked_fill(masked, -math.inf), 1).gather(1, items[:, None])[:, 0]
    assert float(RankingLoss(0.0, 0.1)(scores, items, masked)) == pytest.approx(float(expected.mean()), abs=1e-5)


def test_the_weight_multiplies_the_soft_ndcg():
    scores, items, masked = drawn(6)
    plain, one, thirty = (float(RankingLoss(weight, 0.2)(scores, items, masked)) for weight in (0.0, 1.0, 30.0))
    assert thirty - plain == pytest.approx(30 * (one - plain), rel=1e-4)


def test_scores_that_are_not_numbers_are_not_hidden():
    scores, items, masked = drawn(7)
    scores[0, int(items[0])] = math.nan
    assert math.isnan(float(RankingLoss(30.0, 0.1)(scores, items, masked)))
