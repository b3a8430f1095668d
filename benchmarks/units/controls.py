"""Controls of generated heads with the same experts, targets, loss and budget, but without a head for each user."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

from benchmarks.units.joint import Say, Steer
from benchmarks.units.kept import HEAD_REVISION, kept
from recsys.model.head import HeadWeights
from recsys.model.hypernetwork import Hypernetwork
from recsys.model.scoring import ExpertOutputs, ScoringNetwork
from recsys.training.config import TrainConfig
from recsys.training.held_out import HeldOut, ranking_loss
from recsys.training.selected_fit import fit_selected

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
    held: HeldOut, final: ScoringNetwork, config: TrainConfig, seed: int, folder: Path
) -> tuple[Steer, Mapping[str, object]]:
    """As many parameters as a generator of low-rank heads has, in one matrix for everybody; gains are trained along.

    Whichever kind ships: the control does not shrink with it.
    """
    torch.manual_seed(seed)
    largest = config.head.model_copy(update={"kind": "lowrank"})
    generator = Hypernetwork(largest, held.prepared.statistics.shape[1], len(final.names), final.width)
    inner = max(round(sum(own.numel() for own in generator.parameters()) / (2 * final.width)), 1)
    path = folder / f"shared-matrix-s{seed}-r{HEAD_REVISION}.safetensors"
    return _fitted(_SharedMatrix(final.width, inner), held, final, config, seed, path)


def concatenated(
    held: HeldOut, final: ScoringNetwork, config: TrainConfig, seed: int, folder: Path
) -> tuple[Steer, Mapping[str, object]]:
    """The generator's inputs as inputs of the body's last layer instead; gains are shared and trained along."""
    torch.manual_seed(seed)
    sample = torch.cat([held.prepared.statistics, held.prepared.states], 1)[held.train]
    path = folder / f"concatenated-s{seed}-r{HEAD_REVISION}.safetensors"
    return _fitted(_Concatenated(final.width, sample, config.head.hidden), held, final, config, seed, path)


class _Steer(nn.Module):
    """Shared gains and what bends the state, fitted together."""

    def __init__(self, bend: nn.Module, gains: Tensor) -> None:
        super().__init__()
        self.bend = bend
        self.gains = nn.Parameter(gains.clone())


def _fitted(
    bend: nn.Module, held: HeldOut, final: ScoringNetwork, config: TrainConfig, seed: int, path: Path
) -> tuple[Steer, Mapping[str, object]]:
    """Fitted by the loop, schedule and loss of the generator."""
    steer, loss, prepared = _Steer(bend, held.shared.gains), ranking_loss(config), held.prepared

    def losses(rows: Tensor) -> tuple[Tensor, Tensor]:
        states = prepared.states[rows]
        bent = steer.bend(states, prepared.statistics[rows])
        scores = _scores(held.network, bent, prepared.scores[rows].float(), steer.gains)
        penalty = (bent - states).pow(2).mean() + (steer.gains - held.shared.gains).pow(2).mean()
        return loss(scores, prepared.items[rows], prepared.masked[rows]), penalty

    def fit() -> tuple[Mapping[str, Tensor], Mapping[str, object]]:
        selections: list[float] = []
        fit_selected(
            steer,
            losses,
            config.generator.schedule(),
            train_rows=held.train,
            selection_rows=held.selection,
            seed=seed,
            on_epoch=lambda *said: selections.append(said[2]),
        )
        return steer.state_dict(), {
            "epochs": len(selections) - 1,
            "selection_loss": {"blend": selections[0], "best": min(selections)},
            "parameters": sum(own.numel() for own in steer.parameters()),
        }

    tensors, notes = kept(path, fit)
    steer.load_state_dict(tensors)
    return partial(_bent, final, steer.bend.eval(), HeadWeights(steer.gains.detach(), torch.zeros(1))), notes


def _bent(network: ScoringNetwork, bend: nn.Module, weights: HeadWeights, say: Say) -> Tensor:
    with torch.no_grad():
        bent = bend(say.outputs.states, say.statistics)
        return _scores(network, bent, say.outputs.scores, weights.gains)


def _scores(network: ScoringNetwork, states: Tensor, scores: Tensor, gains: Tensor) -> Tensor:
    body = network.body_scores(states, ExpertOutputs(states, scores))
    return gains[:, :1] * body + torch.einsum("ben,e->bn", scores[:, 1:], gains[0, 1:])
