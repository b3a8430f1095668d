"""The scoring network: experts on one scale, gained and summed, the body's state bent by the head."""

import math

import numpy as np
import pytest
import torch

from recsys.experts.column_blocks import ColumnBlocks
from recsys.experts.long_term import LongTermMemory
from recsys.experts.popularity import PopularityExpert
from recsys.model.head import HeadWeights
from recsys.model.scoring import POPULARITY, expert_scales

GAINS = torch.tensor([[1.0, 0.5, 2.0, 0.1], [0.3, 1.0, 0.0, 4.0]])
TEMPERATURE = torch.tensor([0.0, math.log(2.0)])


@pytest.fixture
def outputs(network, contexts):
    return network.outputs(contexts([1, 2, 3], [4, 5]))


def test_scores_are_the_gained_experts_over_the_temperature(network, outputs):
    expected = (outputs.scores * GAINS[:, :, None]).sum(1)
    expected[1] /= 2
    torch.testing.assert_close(network.score(outputs, HeadWeights(GAINS, TEMPERATURE)), expected)


def test_dense_weights_are_copied_into_blocks_as_far_as_there_is_room(network):
    memory, long_term = network.others["memory"], LongTermMemory(network.others["long_term"].weights, 0.9)
    own = network.replaced(others={**network.others, "long_term": long_term})

    def cut(room):
        return [
            isinstance(expert.weights, ColumnBlocks)
            for name, expert in own.in_blocks(room).others.items()
            if name in ("memory", "long_term")
        ]

    both = memory.bytes_in_blocks + long_term.bytes_in_blocks
    assert memory.bytes_in_blocks == 2 * long_term.bytes_in_blocks > 0
    assert cut(None) == cut(both) == [True, True]
    assert cut(both - 1) == [True, False]
    assert cut(memory.bytes_in_blocks - 1) == [False, True]
    assert cut(0) == [False, False]
    assert own.in_blocks(0).others["memory"].weights is memory.weights, "still shared with whoever maps the snapshot"


def test_the_experts_shares_sum_to_the_score(network, outputs):
    head = HeadWeights(GAINS, TEMPERATURE, torch.randn(2, network.width), torch.randn(2, 3, 3))
    shares = network.shares(outputs, head)
    assert shares.shape == (2, len(network.names), network.n_items)
    torch.testing.assert_close(shares.sum(1), network.score(outputs, head))


def test_the_bent_state_is_the_designs_formula(network, outputs):
    film, core, offset = torch.randn(2, network.width), torch.randn(2, 3, 3), torch.randn(2, network.width)
    U, V = network.bases.numpy()
    shares = network.shares(outputs, HeadWeights(GAINS, TEMPERATURE, film, core, offset))
    for user in range(2):
        h = outputs.states[user].numpy()
        bent = h * (1 + film[user].numpy()) + U @ core[user].numpy() @ (V.T @ h) + offset[user].numpy()
        strength = float(GAINS[user, 0]) * math.exp(-float(TEMPERATURE[user])) / float(network.scales[0])
        expected = network.body.items[1:].numpy() @ bent * strength
        np.testing.assert_allclose(shares[user, 0].numpy(), expected, rtol=1e-4, atol=1e-4)


def test_a_zero_core_is_film_alone_and_zero_film_is_gains_alone(network, outputs):
    film = torch.randn(2, network.width)
    with_core = network.score(outputs, HeadWeights(GAINS, TEMPERATURE, film, core=torch.zeros(2, 3, 3)))
    torch.testing.assert_close(with_core, network.score(outputs, HeadWeights(GAINS, TEMPERATURE, film)))
    unbent = network.score(outputs, HeadWeights(GAINS, TEMPERATURE, torch.zeros_like(film)))
    torch.testing.assert_close(unbent, network.score(outputs, HeadWeights(GAINS, TEMPERATURE)))


def test_a_head_acts_on_its_own_user_only(network, outputs):
    film = torch.randn(2, network.width)
    before = network.score(outputs, HeadWeights(GAINS, TEMPERATURE, film))
    film[1] += 1
    after = network.score(outputs, HeadWeights(GAINS, TEMPERATURE, film))
    assert torch.equal(before[0], after[0])
    assert not torch.allclose(before[1], after[1])


def test_scales_bring_every_expert_to_a_spread_of_one(network, contexts):
    sample = contexts([1, 2], [3, 4, 5], [6])
    found = expert_scales(network.body, network.others, sample)
    experts = (network.body, *network.others.values())
    spread = [
        float((expert.score(sample) / scale).std(dim=1).mean()) for expert, scale in zip(experts, found, strict=True)
    ]
    assert spread == pytest.approx([1.0] * 4, abs=1e-5)


def test_estimates_of_probabilities_become_evidence_and_logits_are_divided(network, contexts):
    context = contexts([1, 2, 3], [4, 5])
    found = network.outputs(context).scores
    for place, expert in enumerate((network.body, *network.others.values())):
        raw = expert.score(context).numpy() / float(network.scales[place])
        expected = np.log1p(np.maximum(raw, 0)) if expert.logarithmic else raw
        np.testing.assert_allclose(found[:, place].numpy(), expected, rtol=1e-5, atol=1e-6)
    assert network.logarithmic.tolist() == [False, True, True, False]


def test_an_expert_that_tells_no_item_from_another_is_not_blown_up(network, contexts):
    flat = {**network.others, POPULARITY: PopularityExpert(torch.full((network.n_items,), 2.3026))}
    scales = expert_scales(network.body, flat, contexts([1, 2], [3]))
    assert float(scales[-1]) == 1.0
    assert (scales > 0).all()
    assert torch.isfinite((flat[POPULARITY].score(contexts([1])) / scales[-1]).half()).all()
