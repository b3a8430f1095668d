"""The shared neural body: a causal sequence encoder whose states score items by inner product.

Plain torch only: training wraps it with sharded torchrec tables from outside, serving uses plain tensors.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal, Self

import torch
from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import Tensor, nn

from recsys.context.batch import ContextBatch
from recsys.experts.attention import GatedBlock, LockedDropout, SoftmaxBlock, TimeInputs

_TOGETHER = 32
"""Contexts computed at once, those of like length: what they need on the way then stays in the processor's caches."""


class BodyConfig(BaseModel):
    """Shape of the body."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    width: int = Field(default=128, ge=8, multiple_of=4)
    """Size of item vectors and states; the fused tables take multiples of 4."""
    layers: int = Field(default=2, ge=1)
    """Attention blocks."""
    heads: int = Field(default=4, ge=1)
    """Attention heads a block."""
    attention: Literal["gated", "softmax"] = "gated"
    """gated: pointwise, better where there are many steps to learn in; softmax: better on small data."""
    length: int = Field(default=200, ge=2)
    """How many of the newest events the body looks at."""
    dropout: float = Field(default=0.2, ge=0, lt=1)
    """Dropout on the input vectors and on each block's outputs, the same dimensions along a whole sequence."""
    clock: bool = False
    """Whether event times are real: gaps between events and the hour of the day are inputs then. Training sets it."""
    baskets: bool = False
    """Whether equal times are one basket: a state is trained to predict the next basket. Training sets it."""

    @model_validator(mode="after")
    def _heads_divide_width(self) -> Self:
        if self.width % (2 * self.heads if self.attention == "softmax" else self.heads):
            raise ValueError(f"width {self.width} does not split into {self.heads} heads of {self.attention} attention")
        return self


class SequenceEncoder(nn.Module):
    """Causal attention over item vectors."""

    def __init__(self, config: BodyConfig) -> None:
        super().__init__()
        self.config = config
        self.times = TimeInputs(config.width) if config.clock else None
        block = GatedBlock if config.attention == "gated" else SoftmaxBlock
        self.blocks = nn.ModuleList(
            block(config.width, config.heads, config.length, config.dropout, clock=config.clock)
            for _ in range(config.layers)
        )
        self.dropout = LockedDropout(config.dropout)
        self.norm = nn.LayerNorm(config.width)

    def forward(self, vectors: Tensor, times: Tensor | None = None) -> Tensor:
        """States after each event.

        Args:
            vectors: (batch, length, width) item vectors, oldest first, left-aligned: padding comes after the events,
                where causality keeps it from being seen.
            times: (batch, length) int64 microseconds; needed with a clock, ignored without one.

        Returns:
            (batch, length, width) states.
        """
        states, gaps = self._inputs(vectors, times)
        for block in self.blocks:
            states = block(states, gaps)
        normalised: Tensor = self.norm(states)
        return normalised

    def newest(self, vectors: Tensor, times: Tensor | None, at: Tensor) -> Tensor:
        """(batch, width) the states that `forward` gives at one place of each sequence.

        Nothing reads the others behind the last block, which is therefore computed for that place alone.

        Args:
            vectors: as for `forward`.
            times: as for `forward`.
            at: (batch,) int64, the places.
        """
        states, gaps = self._inputs(vectors, times)
        for block in self.blocks[:-1]:
            states = block(states, gaps)
        last = self.blocks[-1]
        assert isinstance(last, GatedBlock | SoftmaxBlock)
        normalised: Tensor = self.norm(last.newest(states, gaps, at))
        return normalised

    def _inputs(self, vectors: Tensor, times: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """States before the first block, and the gaps between events where they count."""
        if self.times is None:
            return self.dropout(vectors), None
        if times is None:
            raise ValueError("This body was made for events with times; none were given.")
        return self.dropout(vectors + self.times.hours(times)), self.times.gaps(times)


class BodyExpert:
    """The fitted body as an expert.

    Args:
        encoder: fitted encoder; put into eval mode.
        items: (n_items + 1, width) float32 item vectors, those of an item's attributes added in; row 0 (padding) is
            zero.
    """

    kind: ClassVar[str] = "body"
    logarithmic: ClassVar[bool] = False

    def __init__(self, encoder: SequenceEncoder, items: Tensor) -> None:
        self.encoder = encoder.eval()
        self.items = items

    @torch.no_grad()
    def states(self, context: ContextBatch) -> Tensor:
        """(batch, width) state after each user's newest event; zero where there is no event."""
        window = self.encoder.config.length
        history, times = context.history[:, -window:], context.times[:, -window:]
        length = (history > 0).sum(1)
        if len(length) <= _TOGETHER:
            return self._states(history, times, length)
        order = length.argsort(stable=True)
        blocks = [self._states(history[rows], times[rows], length[rows]) for rows in torch.split(order, _TOGETHER)]
        return torch.cat(blocks)[order.argsort()]

    def _states(self, history: Tensor, times: Tensor, length: Tensor) -> Tensor:
        """`states` of contexts that are computed together, for as many places as the longest of them has."""
        longest = max(int(length.max()) if len(length) else 0, 1)
        history, times = history[:, -longest:], times[:, -longest:]
        position = torch.arange(longest)[None, :] + (longest - length)[:, None]
        source, inside = position.clamp(max=longest - 1), position < longest
        aligned = torch.where(inside, history.gather(1, source), 0)
        aligned_times = torch.where(inside, times.gather(1, source), 0)
        last = self.encoder.newest(self.items[aligned], aligned_times, (length - 1).clamp(min=0))
        return torch.where((length > 0)[:, None], last, 0.0)

    def score(self, context: ContextBatch) -> Tensor:
        """(batch, n_items) float32 logits."""
        return self.states(context) @ self.items[1:].T

    def score_at(self, context: ContextBatch, columns: Tensor) -> Tensor:
        """(1, columns) float32 logits at some columns, see `Expert.score_at`."""
        return self.states(context) @ self.items[columns + 1].T

    def tensors(self) -> Mapping[str, Tensor]:
        """Item vectors and the encoder's parameters."""
        return {"items": self.items, **{f"encoder.{k}": v for k, v in self.encoder.state_dict().items()}}

    def settings(self) -> Mapping[str, object]:
        """The encoder's shape."""
        return self.encoder.config.model_dump()

    @classmethod
    def rebuild(cls, settings: Mapping[str, object], tensors: Mapping[str, Tensor]) -> Self:
        """The inverse of `settings` and `tensors`."""
        encoder = SequenceEncoder(BodyConfig.model_validate(settings))
        weights = {k.removeprefix("encoder."): v for k, v in tensors.items() if k.startswith("encoder.")}
        encoder.load_state_dict(weights)
        return cls(encoder, tensors["items"])
