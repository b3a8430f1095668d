"""Generated heads start from the shared blend and beat it where users differ, and only there."""

import math

import pytest
import torch
from torch.nn import functional

from recsys.errors import TrainingError
from recsys.experts.body import BodyConfig, BodyExpert, SequenceEncoder
from recsys.experts.popularity import PopularityExpert
from recsys.model.head import HeadConfig, HeadWeights
from recsys.model.losses import RankingLoss
from recsys.model.scoring import ScoringNetwork
from recsys.training.blend import fit_blend
from recsys.training.generator import GeneratorConfig, fit_generator
from recsys.training.targets import Prepared

N_ITEMS, WIDTH, TARGETS = 20, 8, 3_000
LOG_LOSS = RankingLoss(0.0, 0.1)


@pytest.fixture(scope="module")
def network() -> ScoringNetwork:
    torch.manual_seed(0)
    items = torch.randn(N_ITEMS + 1, WIDTH)
    body = BodyExpert(SequenceEncoder(BodyConfig(width=WIDTH, heads=1, layers=1, length=4)), items)
    others = {"second": PopularityExpert(torch.zeros(N_ITEMS)), "third": PopularityExpert(torch.zeros(N_ITEMS))}
    return ScoringNetwork(body, others, torch.ones(3), torch.randn(2, WIDTH, 2) * WIDTH**-0.5)


def drawn(network: ScoringNetwork, gains: torch.Tensor, groups: torch.Tensor, seed: int = 0) -> Prepared:
    """Targets drawn from softmax(gains · experts), each user's group told by the first statistic."""
    generator = torch.Generator().manual_seed(seed)
    n = len(groups)
    states = torch.randn(n, WIDTH, generator=generator)
    scores = torch.randn(n, 3, N_ITEMS, generator=generator)
    scores[:, 0] = states @ network.body.items[1:].T
    scores = scores.half()
    logits = torch.einsum("be,ben->bn", gains[groups], scores.float())
    masked = torch.rand(n, N_ITEMS, generator=generator) < 0.2
    masked[:, 0] = False
    items = torch.multinomial(torch.softmax(logits.masked_fill(masked, -math.inf), 1), 1, generator=generator)[:, 0]
    noise = torch.randn(n, 3, generator=generator)
    statistics = torch.cat([groups[:, None].float(), noise], dim=1)
    return Prepared(scores, states, statistics, items, masked)


def groups(n: int = TARGETS) -> torch.Tensor:
    return torch.arange(n) % 2


def loss(network: ScoringNetwork, targets: Prepared, head: HeadWeights, rows: torch.Tensor) -> float:
    scores = network.score(targets.outputs(rows), head).masked_fill(targets.masked[rows], -math.inf)
    return float(functional.cross_entropy(scores, targets.items[rows]))


def rows_of(targets: Prepared, rows: torch.Tensor) -> Prepared:
    return Prepared(*(getattr(targets, name)[rows] for name in Prepared.__dataclass_fields__))


def fitted(network, targets, kind, *, seed=0, log=None, ranking=LOG_LOSS, **settings):
    train, selection = torch.arange(0, 2_000), torch.arange(2_000, 2_400)
    shared, _ = fit_blend(network, rows_of(targets, train), ranking)
    hypernetwork = fit_generator(
        network,
        targets,
        shared,
        loss=ranking,
        head=HeadConfig(kind=kind, rank=2, hidden=16),
        config=GeneratorConfig(**{"epochs": 8, "learning_rate": 1e-2, "batch_size": 64, **settings}),
        train_rows=train,
        selection_rows=selection,
        seed=seed,
        on_epoch=lambda *told: None if log is None else log.append(told),
    )
    return shared, hypernetwork


@pytest.mark.parametrize("kind", ["gains", "film", "lowrank", "full"])
def test_generated_gains_beat_the_shared_blend_on_users_who_trained_nothing(network, kind):
    targets = drawn(network, torch.tensor([[0.0, 3.0, 0.0], [0.0, 0.0, 3.0]]), groups())
    shared, hypernetwork = fitted(network, targets, kind)
    unseen = torch.arange(2_400, TARGETS)
    with torch.no_grad():
        inputs = hypernetwork.inputs(targets.statistics, targets.states)
        own = hypernetwork(inputs[unseen])
        strangers = hypernetwork(inputs[unseen.roll(1)])
    generated = loss(network, targets, own, unseen)
    assert generated < loss(network, targets, shared, unseen) - 0.3
    assert generated < loss(network, targets, strangers, unseen) - 1.0
    first, second = own.gains[unseen % 2 == 0].mean(0), own.gains[unseen % 2 == 1].mean(0)
    assert first[1] > 1.5 > 2 * first[2]
    assert second[2] > 1.5 > 2 * second[1]


def test_where_users_do_not_differ_the_generator_is_no_worse_on_those_who_choose_the_epoch(network):
    targets = drawn(network, torch.tensor([[0.5, 1.0, 0.5]]), groups() * 0)
    log: list[tuple[int, float, float]] = []
    shared, hypernetwork = fitted(network, targets, "lowrank", log=log)
    selection = torch.arange(2_000, 2_400)
    with torch.no_grad():
        head = hypernetwork(hypernetwork.inputs(targets.statistics, targets.states)[selection])
    assert loss(network, targets, head, selection) <= loss(network, targets, shared, selection) + 1e-5
    assert loss(network, targets, head, selection) == pytest.approx(min(told[2] for told in log), abs=1e-4)


def test_epoch_0_is_the_shared_blend_and_patience_ends_it_early(network):
    targets = drawn(network, torch.tensor([[0.5, 1.0, 0.5]]), groups() * 0)
    log: list[tuple[int, float, float]] = []
    shared, _ = fitted(network, targets, "full", log=log, epochs=40, patience=2)
    assert log[0][0] == 0
    assert math.isnan(log[0][1])
    assert log[0][2] == pytest.approx(loss(network, targets, shared, torch.arange(2_000, 2_400)), abs=1e-5)
    best = min(range(len(log)), key=lambda epoch: log[epoch][2])
    assert [told[0] for told in log] == list(range(best + 3))
    assert len(log) < 41


def test_what_is_lowered_and_told_is_the_loss_it_was_given(network):
    targets = drawn(network, torch.tensor([[0.0, 3.0, 0.0], [0.0, 0.0, 3.0]]), groups())
    selection = torch.arange(2_000, 2_400)
    ranking = RankingLoss(5.0, 0.2)
    log: list[tuple[int, float, float]] = []
    shared, hypernetwork = fitted(network, targets, "gains", ranking=ranking, log=log)

    def ranked(head: HeadWeights) -> float:
        scores = network.score(targets.outputs(selection), head)
        return float(ranking(scores, targets.items[selection], targets.masked[selection]))

    with torch.no_grad():
        own = hypernetwork(hypernetwork.inputs(targets.statistics, targets.states)[selection])
    assert log[0][2] == pytest.approx(ranked(shared), abs=1e-4)
    assert min(told[2] for told in log) == pytest.approx(ranked(own), abs=1e-4)
    assert ranked(own) < ranked(shared) - 0.5
    assert log[0][2] < loss(network, targets, shared, selection) - 0.5, "soft NDCG is part of it"


def test_the_same_seed_gives_the_same_generator_and_another_one_another(network):
    targets = drawn(network, torch.tensor([[0.0, 3.0, 0.0], [0.0, 0.0, 3.0]]), groups())
    one, again, other = (fitted(network, targets, "lowrank", seed=s, epochs=2)[1].state_dict() for s in (0, 0, 1))
    assert all(torch.equal(one[name], again[name]) for name in one)
    assert any(not torch.equal(one[name], other[name]) for name in one)


def test_a_loss_that_is_not_a_number_ends_the_fit(network):
    targets = drawn(network, torch.tensor([[0.5, 1.0, 0.5]]), groups() * 0)
    with pytest.raises(TrainingError, match="generator's loss is not finite in epoch 1; nothing was registered"):
        fitted(network, targets, "gains", learning_rate=1e30)
