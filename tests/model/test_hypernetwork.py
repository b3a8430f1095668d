"""At step 0 the generated head is the shared one; from there every part of it can learn."""

import pytest
import torch

from recsys.model.head import HeadConfig, HeadWeights
from recsys.model.hypernetwork import Hypernetwork
from recsys.model.statistics import context_statistics

KINDS = ("gains", "film", "lowrank", "full")
SHARED = HeadWeights(torch.tensor([[1.0, 0.5, 2.0, 0.1]]), torch.tensor([0.2]))


@pytest.fixture
def started(network, contexts):
    """Makes a hypernetwork at step 0, its inputs and the experts' outputs of a few contexts."""

    def make(kind):
        context = contexts([1, 2, 3], [4], [], [5, 6, 7, 8, 9, 10, 11])
        outputs = network.outputs(context)
        statistics = context_statistics(context, outputs, network, clock=True)
        hypernetwork = Hypernetwork(HeadConfig(kind=kind, rank=3, hidden=8), statistics.shape[1], 4, network.width)
        inputs = hypernetwork.inputs(statistics, outputs.states)
        hypernetwork.start_from(inputs, SHARED)
        return hypernetwork, inputs, outputs

    return make


@pytest.mark.parametrize("kind", KINDS)
def test_at_step_0_head_and_scores_are_exactly_the_shared_ones(started, network, kind):
    hypernetwork, inputs, outputs = started(kind)
    with torch.no_grad():
        head = hypernetwork(inputs)
        flat = head.flat()
        assert torch.equal(flat[:, :5], SHARED.flat().expand(4, -1))
        assert not flat[:, 5:].any()
        torch.testing.assert_close(network.score(outputs, head), network.score(outputs, SHARED))


@pytest.mark.parametrize("kind", KINDS)
def test_at_step_0_every_number_of_a_head_can_learn(started, network, kind):
    hypernetwork, inputs, outputs = started(kind)
    loss = torch.nn.functional.cross_entropy(network.score(outputs, hypernetwork(inputs)), torch.tensor([4, 2, 7, 0]))
    loss.backward()
    last = hypernetwork.network[-1]
    assert last.bias.grad.ne(0).all()
    assert last.weight.grad.ne(0).any(dim=1).all()


@pytest.mark.parametrize("kind", KINDS)
def test_one_step_later_the_layers_below_learn_too(started, network, kind):
    hypernetwork, inputs, outputs = started(kind)
    optimizer = torch.optim.SGD(hypernetwork.parameters(), lr=0.1)
    for _ in range(2):
        optimizer.zero_grad()
        scores = network.score(outputs, hypernetwork(inputs))
        torch.nn.functional.cross_entropy(scores, torch.tensor([4, 2, 7, 0])).backward()
        optimizer.step()
    assert all(parameter.grad.ne(0).any() for parameter in hypernetwork.parameters())


def test_inputs_are_normalised_and_one_absurd_context_is_clipped(started):
    hypernetwork, inputs, _ = started("gains")
    torch.nn.init.normal_(hypernetwork.network[-1].weight)
    with torch.no_grad():
        far, further = hypernetwork.deltas(inputs[:1] + 1e6), hypernetwork.deltas(inputs[:1] + 1e9)
    assert torch.isfinite(far).all()
    torch.testing.assert_close(far, further)


def test_an_input_that_never_varied_or_a_sample_of_one_divides_by_nothing(started):
    hypernetwork, inputs, _ = started("film")
    hypernetwork.start_from(inputs[:1], SHARED)
    assert (hypernetwork.deviation == 1).all()
    assert torch.isfinite(hypernetwork(inputs).flat()).all()


def test_gains_read_statistics_only_and_the_others_the_state_too(started, network):
    for kind in KINDS:
        hypernetwork, inputs, outputs = started(kind)
        statistics = inputs[:, : hypernetwork.mean.shape[0] - (0 if kind == "gains" else network.width)]
        expected = statistics if kind == "gains" else torch.cat([statistics, outputs.states], dim=1)
        assert torch.equal(inputs, expected)


def test_starting_again_forgets_the_head_before(started):
    hypernetwork, inputs, _ = started("lowrank")
    with torch.no_grad():
        hypernetwork.shared.fill_(7.0)
    hypernetwork.start_from(inputs, SHARED)
    assert torch.equal(hypernetwork.shared[:5], SHARED.flat()[0])
    assert not hypernetwork.shared[5:].any()
