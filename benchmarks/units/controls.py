"""Controls of generated heads with the same experts, targets, loss and budget, but without a head for each user."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from benchmarks.units.joint import Say, Steer
from recsys.model.head import HeadWeights
from recsys.model.hypernetwork import Hypernetwork
from recsys.model.scoring import ScoringNetwork
from recsys.training.config import TrainConfig
from recsys.training.held_out import HeldOut, ranking_loss

Bend = Callable[[Tensor, Tensor], Tensor]
"""States (batch, width) and statistics (batch, n) to states."""


class _SharedMatrix(nn.Module):
    """One matrix on the state, the same for everybody; as a product, so that it can have any number of parameters."""

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        last = nn.Linear(inner, width)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        self.matrix = nn.Sequential(nn.Linear(width, inner, bias=False), last)

    def forward(self, states: Tensor, statistics: Tensor) -> Tensor:
        bent: Tensor = states + self.matrix(states)
        return bent


class _Concatenated(nn.Module):
    """The context's statistics beside the state, through a perceptron as large as the generator, added to the state."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, width: int, sample: Tensor, hidden: int) -> None:
        super().__init__()
        last = nn.Linear(hidden, width)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        inputs = sample.shape[1]
        self.network = nn.Sequential(nn.Linear(inputs, hidden), nn.SiLU(), nn.Linear(hidden, hidden), nn.SiLU(), last)
        deviation = sample.std(0, correction=0)
        self.register_buffer("mean", sample.mean(0))
        self.register_buffer("deviation", torch.where(deviation > 1e-4, deviation, 1.0))

    def forward(self, states: Tensor, statistics: Tensor) -> Tensor:
        inputs = ((torch.cat([statistics, states], 1) - self.mean) / self.deviation).clamp(-5, 5)
        bent: Tensor = states + self.network(inputs)
        return bent


def shared_matrix(
    held: HeldOut, final: ScoringNetwork, config: TrainConfig, seed: int
) -> tuple[Steer, dict[str, object]]:
    """As many parameters as a generator has, in one matrix for everybody, with the gains trained along."""
    torch.manual_seed(seed)
    generator = Hypernetwork(config.head, held.prepared.statistics.shape[1], len(final.names), final.width)
    inner = max(round(sum(own.numel() for own in generator.parameters()) / (2 * final.width)), 1)
    return _fitted(_SharedMatrix(final.width, inner), held, final, config, seed)


def concatenated(
    held: HeldOut, final: ScoringNetwork, config: TrainConfig, seed: int
) -> tuple[Steer, dict[str, object]]:
    """The generator's inputs as inputs of the body's last layer instead; gains are shared and trained along."""
    torch.manual_seed(seed)
    sample = torch.cat([held.prepared.statistics, held.prepared.states], 1)[held.train]
    return _fitted(_Concatenated(final.width, sample, config.head.hidden), held, final, config, seed)


def _fitted(
    bend: nn.Module, held: HeldOut, final: ScoringNetwork, config: TrainConfig, seed: int
) -> tuple[Steer, dict[str, object]]:
    """Trains as `fit_generator` does: same step, batches, penalty, patience and selection."""
    settings, loss = config.generator, ranking_loss(config)
    gains = nn.Parameter(held.shared.gains.clone())
    parameters = [gains, *bend.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=settings.learning_rate, weight_decay=0.01)
    order = torch.Generator().manual_seed(seed)

    def losses(rows: Tensor) -> tuple[Tensor, Tensor]:
        prepared = held.prepared
        states = prepared.states[rows]
        bent = bend(states, prepared.statistics[rows])
        scores = _scores(held.network, bent, prepared.scores[rows].float(), gains)
        penalty = (bent - states).pow(2).mean() + (gains - held.shared.gains).pow(2).mean()
        return loss(scores, prepared.items[rows], prepared.masked[rows]), penalty

    @torch.no_grad()
    def selection() -> float:
        parts = torch.split(held.selection, settings.batch_size)
        return sum(losses(rows)[0].item() * len(rows) for rows in parts) / max(len(held.selection), 1)

    def state() -> tuple[dict[str, Tensor], Tensor]:
        return copy.deepcopy(bend.state_dict()), gains.detach().clone()

    first = best = selection()
    kept, waited, epochs = state(), 0, 0
    for _ in range(settings.epochs):
        shuffled = held.train[torch.randperm(len(held.train), generator=order)]
        for rows in torch.split(shuffled, settings.batch_size):
            own, penalty = losses(rows)
            optimizer.zero_grad()
            (own + settings.delta_penalty * penalty).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        epochs, waited, now = epochs + 1, waited + 1, selection()
        if now < best:
            best, kept, waited = now, state(), 0
        if waited >= settings.patience:
            break
    bend.load_state_dict(kept[0])
    steer = partial(_bent, final, bend.eval(), HeadWeights(kept[1], torch.zeros(1)))
    return steer, {
        "epochs": epochs,
        "selection_loss": {"blend": first, "best": best},
        "parameters": sum(own.numel() for own in parameters),
    }


def _bent(network: ScoringNetwork, bend: nn.Module, weights: HeadWeights, say: Say) -> Tensor:
    with torch.no_grad():
        bent = bend(say.outputs.states, say.statistics)
        return _scores(network, bent, say.outputs.scores, weights.gains)


def _scores(network: ScoringNetwork, states: Tensor, scores: Tensor, gains: Tensor) -> Tensor:
    body = (states @ network.body.items[1:].T) / network.scales[0]
    return gains[:, :1] * body + torch.einsum("ben,e->bn", scores[:, 1:], gains[0, 1:])
