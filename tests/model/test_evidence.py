"""Estimates of probabilities become evidence: order kept, none where not positive, any scale from any other."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from recsys.experts.popularity import PopularityExpert
from recsys.model.scoring import ScoringNetwork, on_one_scale, rescaled

KINDS = torch.tensor([True, False, True])
SCALES = torch.tensor([0.01, 2.0, 0.3])


def raw(seed: int = 0) -> torch.Tensor:
    """(users, experts, items): small probabilities, some of them negative, and logits."""
    drawn = torch.randn(4, 3, 9, generator=torch.Generator().manual_seed(seed))
    return drawn * torch.tensor([0.05, 3.0, 0.5])[:, None]


@given(st.integers(0, 1_000))
def test_evidence_keeps_the_order_of_what_is_positive(seed):
    scores = raw(seed)
    evidence = on_one_scale(scores, SCALES, KINDS)
    assert torch.equal(evidence[:, 1].argsort(), scores[:, 1].argsort())
    for expert in (0, 2):
        positive = scores[:, expert].clamp(min=0)
        ordered = evidence[:, expert].gather(1, positive.argsort(stable=True))
        assert (ordered.diff(dim=1) >= 0).all()
        assert torch.equal(evidence[:, expert] > 0, scores[:, expert] > 0)


def test_what_is_not_positive_is_no_evidence():
    scores = torch.tensor([[[-5.0, 0.0, -1e-9, 0.1]]])
    evidence = on_one_scale(scores, torch.tensor([0.1]), torch.tensor([True]))
    assert evidence[0, 0, :3].tolist() == [0, 0, 0]
    assert float(evidence[0, 0, 3]) == pytest.approx(0.6931, abs=1e-4)


def test_evidence_is_added_where_probabilities_would_be_drowned_by_one():
    """Two experts that agree on an item outweigh one that shouts at another; with plain sums they would not."""
    scores = torch.tensor([[[0.0, 0.08, 1.0], [0.0, 0.08, 0.0], [0.0, 0.0, 0.0]]])
    found = on_one_scale(scores, torch.full((3,), 0.005), torch.tensor([True, True, False]))
    assert int(found.sum(1).argmax()) == 1
    assert int(scores.sum(1).argmax()) == 2


@given(st.integers(0, 1_000), st.floats(0.05, 20.0), st.floats(0.05, 20.0))
def test_rescaled_is_what_other_scales_would_have_given(seed, first, third):
    factors = torch.tensor([first, 7.0, third])
    found = rescaled(on_one_scale(raw(seed), SCALES, KINDS), factors, KINDS)
    expected = on_one_scale(raw(seed), SCALES * torch.where(KINDS, factors, 1.0), KINDS)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)


def test_logits_of_any_size_leave_the_gradient_of_the_scales_finite():
    """Where nearly all items are equally popular, popularity over its spread is in the hundreds."""
    scores = torch.tensor([[[0.3, 0.0, 1.2], [500.0, -40.0, 3.0], [0.0, 0.1, 4.0]]])
    log_factors = torch.zeros(3, requires_grad=True)
    found = rescaled(scores, log_factors.exp(), KINDS)
    functional.cross_entropy(found.sum(1), torch.tensor([2])).backward()
    assert torch.equal(found[:, 1], scores[:, 1])
    assert torch.isfinite(log_factors.grad).all()
    assert float(log_factors.grad[1]) == 0


def test_an_expert_of_another_number_of_items_is_told(network):
    odd = {**network.others, "popularity": PopularityExpert(torch.zeros(network.n_items + 1))}
    with pytest.raises(RuntimeError, match="'popularity' scores 13 items and the body 12"):
        ScoringNetwork(network.body, odd, network.scales, network.bases).check()
    network.check()
