"""Head weights: the few numbers that a hypernetwork emits for one user, and that steer the shared scoring network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from recsys.model.kinds import HeadKind

StatisticGroup = Literal["activity", "popularity", "times", "coherence", "repetition", "opinions", "profile"]


class HeadConfig(BaseModel):
    """Which numbers a head has and how the hypernetwork is shaped."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: HeadKind = "lowrank"
    """gains: expert gains and temperature; film: also a gain on each dimension of the state; lowrank: film and a
    rank x rank core between shared bases; full: film and a free offset of the state."""
    rank: int = Field(default=8, ge=1)
    """Size of the low-rank core."""
    hidden: int = Field(default=64, ge=4)
    """Width of the hypernetwork's hidden layers."""
    panel: int = Field(default=5_000, ge=2)
    """In a large catalogue the experts' opinions are read off so many of the most popular items, not off all: a head
    can then be made without scoring every item."""
    panel_above: int = Field(default=50_000, ge=0)
    """A catalogue of more items than this is large."""
    reads: tuple[StatisticGroup, ...] | None = None
    """Groups of context statistics (recsys/model/statistics.py) that heads are made from, beside the state where the
    kind acts on it; None: all. Of few users a head learns more from less."""

    def panel_size(self, n_items: int) -> int | None:
        """Of how many items opinions are read in a catalogue of this size; None: of all."""
        return self.panel if n_items > self.panel_above else None


@dataclass(frozen=True, slots=True)
class HeadWeights:
    """Heads of a batch of contexts.

    Attributes:
        gains: (batch, experts) weight of each expert's score.
        log_temperature: (batch,) log of the softmax temperature.
        film: (batch, width) relative gain on the body's state, None for kinds without one.
        core: (batch, rank, rank) between the shared bases, None for kinds without one.
        offset: (batch, width) added to the body's state, None for kinds without one.
    """

    gains: Tensor
    log_temperature: Tensor
    film: Tensor | None = None
    core: Tensor | None = None
    offset: Tensor | None = None

    def tensors(self) -> tuple[Tensor, ...]:
        """Those that this kind of head has."""
        parts = (self.gains, self.log_temperature, self.film, self.core, self.offset)
        return tuple(part for part in parts if part is not None)

    def flat(self) -> Tensor:
        """(batch, numbers) all weights of each head side by side."""
        return torch.cat([part.flatten(1) if part.ndim > 1 else part[:, None] for part in self.tensors()], dim=1)


def head_size(config: HeadConfig, n_experts: int, width: int) -> int:
    """How many numbers a head of this kind has."""
    extra = {"gains": 0, "film": width, "lowrank": width + config.rank**2, "full": 2 * width}
    return n_experts + 1 + extra[config.kind]


def unflatten(flat: Tensor, config: HeadConfig, n_experts: int, width: int) -> HeadWeights:
    """The inverse of `HeadWeights.flat`.

    Args:
        flat: (batch, head_size).
        config: the head's kind and rank.
        n_experts: how many experts there are.
        width: size of the body's state.
    """
    gains, temperature, rest = flat[:, :n_experts], flat[:, n_experts], flat[:, n_experts + 1 :]
    if config.kind == "gains":
        return HeadWeights(gains, temperature)
    film, rest = rest[:, :width], rest[:, width:]
    if config.kind == "lowrank":
        return HeadWeights(gains, temperature, film, core=rest.reshape(-1, config.rank, config.rank))
    return HeadWeights(gains, temperature, film, offset=rest if config.kind == "full" else None)
