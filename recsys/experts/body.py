"""The shared neural body: a causal sequence encoder whose states score items by inner product.

Plain torch only: training wraps it with sharded torchrec tables from outside, serving uses plain tensors.

Sources: SASRec (Kang & McAuley, ICDM 2018); rotary positions (Su et al., 2021); gated MLP (Shazeer, 2020).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self

import torch
from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import Tensor, nn
from torch.nn import functional

from recsys.context.batch import ContextBatch


class BodyConfig(BaseModel):
    """Shape of the body."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    width: int = Field(default=64, ge=8, multiple_of=4)
    """Size of item vectors and states; the fused tables take multiples of 4."""
    layers: int = Field(default=2, ge=1)
    """Attention blocks."""
    heads: int = Field(default=2, ge=1)
    """Attention heads a block."""
    length: int = Field(default=200, ge=2)
    """How many of the newest events the body looks at."""
    dropout: float = Field(default=0.2, ge=0, lt=1)
    """Dropout on the input vectors and on each block's outputs (never inside attention: it leaves the fast path)."""

    @model_validator(mode="after")
    def _heads_divide_width(self) -> Self:
        if self.width % (2 * self.heads):
            raise ValueError(f"width {self.width} does not split into {self.heads} heads of an even size")
        return self


class SequenceEncoder(nn.Module):
    """Causal attention over item vectors."""

    def __init__(self, config: BodyConfig) -> None:
        super().__init__()
        self.config = config
        self.blocks = nn.ModuleList(_Block(config) for _ in range(config.layers))
        self.dropout = nn.Dropout(config.dropout)
        self.norm = nn.LayerNorm(config.width)

    def forward(self, vectors: Tensor) -> Tensor:
        """States after each event.

        Args:
            vectors: (batch, length, width) item vectors, oldest first, left-aligned: padding comes after the events,
                where causality keeps it from being seen.

        Returns:
            (batch, length, width) states.
        """
        rotation = _rotation(vectors.shape[1], self.config.width // self.config.heads)
        states = self.dropout(vectors)
        for block in self.blocks:
            states = block(states, rotation)
        normalised: Tensor = self.norm(states)
        return normalised


class _Block(nn.Module):
    def __init__(self, config: BodyConfig) -> None:
        super().__init__()
        width = config.width
        self.heads = config.heads
        self.attention_norm = nn.LayerNorm(width)
        self.project = nn.Linear(width, 3 * width)
        self.attention_out = nn.Linear(width, width)
        self.mlp_norm = nn.LayerNorm(width)
        self.gate = nn.Linear(width, 4 * width)
        self.mlp_out = nn.Linear(2 * width, width)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, states: Tensor, rotation: tuple[Tensor, Tensor]) -> Tensor:
        batch, length, width = states.shape
        mixed = self.project(self.attention_norm(states)).view(batch, length, 3, self.heads, width // self.heads)
        query, key, value = (part.transpose(1, 2) for part in mixed.unbind(2))
        query, key = _rotate(query, rotation), _rotate(key, rotation)
        attended = functional.scaled_dot_product_attention(query, key, value, is_causal=True)
        attended = attended.transpose(1, 2).reshape(batch, length, width)
        states = states + self.dropout(self.attention_out(attended))
        gate, content = self.gate(self.mlp_norm(states)).chunk(2, dim=-1)
        added: Tensor = self.dropout(self.mlp_out(functional.silu(gate) * content))
        return states + added


def _rotation(length: int, size: int) -> tuple[Tensor, Tensor]:
    rate = 1.0 / (10_000 ** (torch.arange(0, size, 2) / size))
    angle = torch.arange(length)[:, None] * rate[None, :]
    return angle.cos(), angle.sin()


def _rotate(vectors: Tensor, rotation: tuple[Tensor, Tensor]) -> Tensor:
    cosine, sine = rotation
    even, odd = vectors.chunk(2, dim=-1)
    return torch.cat([even * cosine - odd * sine, even * sine + odd * cosine], dim=-1)


class BodyExpert:
    """The fitted body as an expert.

    Args:
        encoder: fitted encoder; put into eval mode.
        items: (n_items + 1, width) float32 item vectors; row 0 (padding) is zero.
    """

    def __init__(self, encoder: SequenceEncoder, items: Tensor) -> None:
        self.encoder = encoder.eval()
        self.items = items

    @torch.no_grad()
    def states(self, context: ContextBatch) -> Tensor:
        """(batch, width) state after each user's newest event; zero where there is no event."""
        history = context.history[:, -self.encoder.config.length :]
        length = (history > 0).sum(1)
        longest = max(int(length.max()) if len(length) else 0, 1)
        history = history[:, -longest:]
        position = torch.arange(longest)[None, :] + (longest - length)[:, None]
        aligned = torch.where(position < longest, history.gather(1, position.clamp(max=longest - 1)), 0)
        states = self.encoder(self.items[aligned])
        last = states[torch.arange(len(history)), (length - 1).clamp(min=0)]
        return torch.where((length > 0)[:, None], last, 0.0)

    def score(self, context: ContextBatch) -> Tensor:
        """(batch, n_items) float32 logits."""
        return self.states(context) @ self.items[1:].T

    def tensors(self) -> Mapping[str, Tensor]:
        """Item vectors and the encoder's parameters."""
        return {"items": self.items, **{f"encoder.{k}": v for k, v in self.encoder.state_dict().items()}}
