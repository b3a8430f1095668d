"""The shared blend: gains and scales for everybody that no other shared ones beat."""

import math

import pytest
import torch

from recsys.errors import TrainingError
from recsys.experts.body import BodyConfig, BodyExpert, SequenceEncoder
from recsys.experts.memory import SequenceMemory
from recsys.experts.popularity import PopularityExpert
from recsys.model.losses import RankingLoss
from recsys.model.scoring import ScoringNetwork, on_one_scale, rescaled
from recsys.training.blend import fit_blend
from recsys.training.targets import Prepared

N_ITEMS, WIDTH, TARGETS = 20, 8, 2_000
LOG_LOSS = RankingLoss(0.0, 0.1)
KINDS = torch.tensor([False, True, False])


@pytest.fixture(scope="module")
def network() -> ScoringNetwork:
    """The body, a memory whose scores become evidence, popularity; all at scale 1."""
    body = BodyExpert(SequenceEncoder(BodyConfig(width=WIDTH, heads=1, layers=1, length=4)), torch.zeros(21, WIDTH))
    memory = SequenceMemory(torch.zeros(1, N_ITEMS + 1, N_ITEMS), (0.5,), (4,))
    others = {"memory": memory, "popularity": PopularityExpert(torch.zeros(N_ITEMS))}
    return ScoringNetwork(body, others, torch.ones(3), torch.zeros(2, WIDTH, 1))


def drawn(gains, *, memory_scale: float = 1.0, raw_memory=None, seed: int = 0) -> Prepared:
    """Targets drawn from softmax(gains · experts), the memory's evidence taken at `memory_scale`; told at scale 1."""
    generator = torch.Generator().manual_seed(seed)
    raw = torch.randn(TARGETS, 3, N_ITEMS, generator=generator)
    if raw_memory is not None:
        raw[:, 1] = raw_memory
    own = on_one_scale(raw, torch.tensor([1.0, memory_scale, 1.0]), KINDS)
    logits = torch.einsum("e,ben->bn", torch.tensor(gains), own)
    masked = torch.rand(TARGETS, N_ITEMS, generator=generator) < 0.2
    masked[:, 0] = False
    items = torch.multinomial(torch.softmax(logits.masked_fill(masked, -math.inf), 1), 1, generator=generator)[:, 0]
    nothing = torch.zeros(TARGETS, 0)
    return Prepared(on_one_scale(raw, torch.ones(3), KINDS).half(), nothing, nothing, items, masked)


def loss_of(targets: Prepared, gains: torch.Tensor, factors=(1.0, 1.0, 1.0), loss=LOG_LOSS) -> float:
    own = rescaled(targets.scores.float(), torch.as_tensor(factors), KINDS)
    return float(loss(torch.einsum("ben,e->bn", own, gains), targets.items, targets.masked))


def test_it_recovers_the_gains_and_the_scale_that_drew_the_targets(network):
    targets = drawn([0.4, 2.0, -0.7], memory_scale=0.2)
    shared, scales = fit_blend(network, targets, LOG_LOSS)
    torch.testing.assert_close(shared.gains, torch.tensor([[0.4, 2.0, -0.7]]), atol=0.2, rtol=0)
    assert float(scales[1]) == pytest.approx(0.2, rel=0.4)
    assert scales[[0, 2]].tolist() == [1, 1], "only estimates of probabilities have a scale to choose"
    assert shared.log_temperature.tolist() == [0]


@pytest.mark.parametrize("loss", [LOG_LOSS, RankingLoss(30.0, 0.1)], ids=["log-loss", "with soft NDCG"])
def test_it_beats_every_expert_alone_and_any_other_shared_blend(network, loss):
    targets = drawn([0.8, 1.5, 0.5], memory_scale=0.3)
    shared, scales = fit_blend(network, targets, loss)
    best = loss_of(targets, shared.gains[0], scales, loss)
    for expert in range(3):
        for strength in (0.3, 1.0, 2.0):
            assert best < loss_of(targets, torch.eye(3)[expert] * strength, loss=loss) - 0.05
    generator = torch.Generator().manual_seed(1)
    for _ in range(20):
        nudge = torch.randn(3, generator=generator) * 0.3
        assert best < loss_of(targets, shared.gains[0] + nudge, scales, loss) + 1e-3
        assert best < loss_of(targets, shared.gains[0], scales * torch.exp(nudge), loss) + 1e-3


def test_with_scales_of_its_own_it_is_better_than_at_the_first_ones(network):
    targets = drawn([0.5, 2.0, 0.5], memory_scale=0.05)
    shared, scales = fit_blend(network, targets, LOG_LOSS)
    gains = torch.linspace(0.2, 4, 40)
    at_first = min(loss_of(targets, torch.stack([shared.gains[0, 0], own, shared.gains[0, 2]])) for own in gains)
    assert loss_of(targets, shared.gains[0], scales) < at_first - 0.01


def test_soft_ndcg_in_the_loss_makes_for_a_better_one(network):
    """Half the targets are drawn at random: log-loss fears them, NDCG does not."""
    targets = drawn([1.0, 2.0, 0.0])
    targets.items[::2] = torch.randint(0, N_ITEMS, (TARGETS // 2,), generator=torch.Generator().manual_seed(2))
    targets.masked.scatter_(1, targets.items[:, None], value=False)
    soft = RankingLoss(1.0, 0.1)

    def soft_ndcg(weight: float) -> float:
        shared, scales = fit_blend(network, targets, RankingLoss(weight, 0.1))
        gains = shared.gains[0]
        return loss_of(targets, gains, scales) - loss_of(targets, gains, scales, soft)

    assert soft_ndcg(30.0) > soft_ndcg(0.0) + 0.005


def test_scales_are_those_of_the_network_times_what_was_found(network):
    targets = drawn([0.4, 2.0, -0.7], memory_scale=0.2)
    other = ScoringNetwork(network.body, network.others, torch.tensor([2.0, 5.0, 3.0]), network.bases)
    _, scales = fit_blend(network, targets, LOG_LOSS)
    _, elsewhere = fit_blend(other, targets, LOG_LOSS)
    torch.testing.assert_close(elsewhere, scales * other.scales)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("kind", ["nothing", "all or nothing", "one spike", "never positive"])
def test_an_awkward_memory_leaves_gains_and_scales_finite(network, kind, seed):
    generator = torch.Generator().manual_seed(seed)
    random = torch.rand(TARGETS, N_ITEMS, generator=generator)
    raw = {
        "nothing": torch.zeros_like(random),
        "all or nothing": (random > 0.7).float(),
        "one spike": 5_000 * (random > 0.9999),
        "never positive": -random,
    }[kind]
    targets = drawn([1.0, 1.5, 0.5], raw_memory=raw, seed=seed)
    for loss in (LOG_LOSS, RankingLoss(30.0, 0.1)):
        shared, scales = fit_blend(network, targets, loss)
        assert torch.isfinite(shared.gains).all()
        assert torch.isfinite(scales).all()
        assert (scales > 0).all()


def test_logits_in_the_hundreds_do_not_break_it(network):
    """Popularity over its spread, where nearly all items are equally popular."""
    targets = drawn([0.8, 1.5, 0.5])
    targets.scores[:, 2] += 300
    plain, _ = fit_blend(network, drawn([0.8, 1.5, 0.5]), LOG_LOSS)
    found, _ = fit_blend(network, targets, LOG_LOSS)
    torch.testing.assert_close(found.gains[:, :2], plain.gains[:, :2], atol=0.1, rtol=0)


def test_a_score_that_is_not_a_number_ends_the_fit(network):
    targets = drawn([0.5, 1.0, 0.5])
    targets.scores[3, 1, 4] = math.nan
    with pytest.raises(TrainingError, match="shared blend's loss is not finite"):
        fit_blend(network, targets, LOG_LOSS)
