"""Experts that speak only of items new to the user, with plain heads and with heads that bend the state."""

from __future__ import annotations

import pytest
import torch

from recsys.experts.novelty import NoveltyExpert
from recsys.model.head import HeadWeights
from recsys.model.scoring import ScoringNetwork
from tests.model.conftest import N_ITEMS


@pytest.fixture
def networks(network):
    """The same experts and novelty: all speaking of everything, and the body of new items only."""
    others = {"novelty": NoveltyExpert(N_ITEMS), **network.others}
    scales = torch.cat([network.scales[:1], torch.ones(1), network.scales[1:]])
    return tuple(ScoringNetwork(network.body, others, scales, network.bases, names) for names in ((), ("body",)))


def seen_of(context) -> torch.Tensor:
    mask = torch.zeros(len(context), N_ITEMS, dtype=torch.bool)
    rows = torch.repeat_interleave(torch.arange(len(context)), context.seen_offsets.diff())
    mask[rows, context.seen - 1] = True
    return mask


def test_what_is_known_gets_nothing_and_what_is_new_is_told_apart_as_before(networks, contexts):
    plain, discovering = networks
    context = contexts([1, 2, 3], [4])
    before, after = plain.outputs(context).scores, discovering.outputs(context).scores
    seen = seen_of(context)
    assert not after[:, 0][seen].any()
    for row in range(2):
        new = ~seen[row]
        centred = before[row, 0, new] - before[row, 0, new].mean()
        torch.testing.assert_close(after[row, 0, new], centred, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(after[:, 1:], before[:, 1:])


def test_a_bent_state_speaks_of_new_items_only_too(networks, contexts):
    _, discovering = networks
    context = contexts([1, 2, 3], [4])
    outputs = discovering.outputs(context)
    gains = torch.zeros(2, len(discovering.names))
    gains[:, 0] = 1.0
    unbent = HeadWeights(gains, torch.zeros(2))
    still = HeadWeights(gains, torch.zeros(2), film=torch.zeros(2, discovering.width))
    bent = HeadWeights(gains, torch.zeros(2), film=torch.ones(2, discovering.width))
    torch.testing.assert_close(discovering.score(outputs, still), discovering.score(outputs, unbent), atol=1e-5, rtol=0)
    doubled = discovering.score(outputs, bent)
    torch.testing.assert_close(doubled, 2 * discovering.score(outputs, unbent), atol=1e-4, rtol=1e-4)
    assert not doubled[seen_of(context)].any()
    torch.testing.assert_close(discovering.shares(outputs, bent).sum(1), doubled, atol=1e-4, rtol=1e-4)


def test_without_novelty_every_item_is_new(network):
    own = ScoringNetwork(network.body, network.others, network.scales, network.bases, ("body",))
    assert not own.discovers.any()
