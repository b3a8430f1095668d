"""The building blocks of the body: gated or softmax attention with relative position and time, and locked dropout.

Sources: HSTU (Zhai et al., ICML 2024) for gated pointwise attention and the relative biases; SASRec (Kang & McAuley,
ICDM 2018), rotary positions (Su et al., 2021) and gated MLP (Shazeer, 2020); locked dropout after Gal
& Ghahramani (NeurIPS 2016): one mask along a sequence costs next to no random numbers, which dominate small models
on a CPU.
"""

from __future__ import annotations

from typing import Self

import torch
from torch import Tensor, nn
from torch.nn import functional

GAP_BUCKETS = 32
_HOURS = 24
_SECOND = 1_000_000
_HOUR = 3_600 * _SECOND
_NEVER = -1e30
"""In the place of a bias: SiLU makes exactly nothing of it, and so does its gradient."""


class LockedDropout(nn.Module):
    """Dropout that leaves out the same dimensions at every position of a sequence."""

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share

    def forward(self, states: Tensor) -> Tensor:
        """(batch, length, width) → the same."""
        if not self.training or self.share == 0:
            return states
        kept = torch.rand(states.shape[0], 1, states.shape[2], device=states.device) >= self.share
        return states * (kept.to(states.dtype) / (1 - self.share))


class TimeInputs(nn.Module):
    """What the body sees of event times: the hour of the day, and the gaps between events in logarithmic buckets."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.hour_vectors = nn.Parameter(torch.zeros(_HOURS, width))

    def hours(self, times: Tensor) -> Tensor:
        """(batch, length, width) vector of each event's hour, UTC."""
        return self.hour_vectors[(times // _HOUR) % _HOURS]

    @staticmethod
    def gaps(times: Tensor) -> Tensor:
        """(batch, length, length) int64 bucket of the time from each event back to every other one.

        Gaps below a second fall into bucket 0, each further bucket is twice as wide; times that run backwards count
        as no gap.
        """
        seconds = times.div(_SECOND, rounding_mode="floor").double()
        apart = (seconds[:, :, None] - seconds[:, None, :]).clamp(min=0).float()
        return torch.log2(apart + 1).long().clamp(max=GAP_BUCKETS - 1)


class GatedBlock(nn.Module):
    """Causal pointwise attention: SiLU instead of softmax, gated by the input, no separate feed-forward part.

    Args:
        width: size of states.
        heads: attention heads.
        length: longest sequence.
        dropout: share of dimensions dropped from the block's output.
        clock: whether gaps in time have a bias as well.
    """

    def __init__(self, width: int, heads: int, length: int, dropout: float, *, clock: bool) -> None:
        super().__init__()
        self.heads, self.length = heads, length
        self.norm = nn.LayerNorm(width)
        self.project = nn.Linear(width, 4 * width)
        self.out_norm = nn.LayerNorm(width)
        self.out = nn.Linear(width, width)
        self.dropout = LockedDropout(dropout)
        self.position_bias = nn.Parameter(torch.zeros(heads, length))
        self.gap_bias = nn.Parameter(torch.zeros(heads, GAP_BUCKETS)) if clock else None
        self._kept: tuple[tuple[int, int], Tensor] | None = None

    def train(self, mode: bool = True) -> Self:
        """Training changes the weights: what was made of them is let go."""
        self._kept = None
        return super().train(mode)

    def forward(self, states: Tensor, gaps: Tensor | None) -> Tensor:
        """(batch, length, width) → the same; `gaps` as `TimeInputs.gaps` returns them."""
        batch, length, width = states.shape
        mixed = _silu(self.project(self.norm(states))).view(batch, length, 4, self.heads, width // self.heads)
        gate, query, key, value = mixed.unbind(2)
        query, key, value = (part.transpose(1, 2) for part in (query, key, value))
        weights = _attention(query @ key.transpose(-1, -2), self._bias(length, gaps)).to(value.dtype)
        mixed_values = (weights @ (value * self.length**-0.5)).transpose(1, 2).reshape(batch, length, width)
        gated = self.out_norm(mixed_values) * gate.reshape(batch, length, width)
        added: Tensor = self.dropout(self.out(gated))
        return states + added

    def newest(self, states: Tensor, gaps: Tensor | None, at: Tensor) -> Tensor:
        """(batch, width): what `forward` gives at one place of each sequence, for a fraction of the work.

        Args:
            states: (batch, length, width).
            gaps: as `TimeInputs.gaps` returns them.
            at: (batch,) int64, the places.
        """
        batch, length, width = states.shape
        size = width // self.heads
        row, place = torch.arange(batch, device=at.device), torch.arange(length, device=at.device)
        normed, weight, offset = self.norm(states), self.project.weight, self.project.bias
        own = functional.silu(functional.linear(normed[row, at], weight[: 2 * width], offset[: 2 * width]))
        everyone = functional.silu(functional.linear(normed, weight[2 * width :], offset[2 * width :]))
        gate, query = own.chunk(2, dim=-1)
        query = query.view(batch, self.heads, 1, size)
        key, value = everyone.view(batch, length, 2, self.heads, size).transpose(1, 3).unbind(2)
        back = at[:, None] - place
        bias = self.position_bias[:, back.clamp(min=0)]
        if self.gap_bias is not None and gaps is not None:
            bias = bias + self.gap_bias[:, gaps[row, at]]
        past = (back >= 0) / self.length**0.5
        logits = query @ key.transpose(-1, -2) + bias.transpose(0, 1)[:, :, None]
        weights = functional.silu(logits) * past[:, None, None]
        mixed_values = (weights.to(value.dtype) @ value).reshape(batch, width)
        newest: Tensor = states[row, at] + self.out(self.out_norm(mixed_values) * gate)
        return newest

    def _bias(self, length: int, gaps: Tensor | None) -> Tensor:
        fixed = not (self.training or torch.is_grad_enabled())
        bias = self._kept_position_bias()[:, :length, :length] if fixed else self._position_bias(length)
        if self.gap_bias is None or gaps is None:
            return bias
        both: Tensor = bias + self.gap_bias[:, gaps].transpose(0, 1)
        return both

    def _position_bias(self, length: int) -> Tensor:
        """(heads, length, length) by the distance back; it depends on nothing else, so a shorter one is its corner.

        Each row is the one before it moved on by one place: the values are written one after the other, one more than a
        row of what is read holds. The gradient is then a sum over rows, many times as fast as that of an index.
        """
        back = self.position_bias[:, :length]
        ahead = back.new_full((self.heads, length), _NEVER)
        turned = torch.cat([back[:, :1], ahead, back[:, 1:].flip(1)], dim=1)
        wide = 2 * length - 1
        return turned.repeat(1, length)[:, : length * wide].reshape(-1, length, wide)[:, :, :length]

    def _kept_position_bias(self) -> Tensor:
        """That of the longest sequence, made once for the weights as they are."""
        bias = self.position_bias
        made_of = (bias.data_ptr(), bias._version)
        if self._kept is None or self._kept[0] != made_of:
            self._kept = (made_of, self._position_bias(self.length))
        return self._kept[1]


def _attention(logits: Tensor, bias: Tensor) -> Tensor:
    """(batch, heads, length, length) what events take of those up to them; without gradients, in the logits' place."""
    return functional.silu(logits + bias) if torch.is_grad_enabled() else _silu(logits.add_(bias))


def _silu(states: Tensor) -> Tensor:
    """SiLU, in place where no gradient needs what was there."""
    return functional.silu(states, inplace=not torch.is_grad_enabled())


class SoftmaxBlock(nn.Module):
    """Causal softmax attention over rotated positions, then a gated MLP.

    Args:
        width: size of states.
        heads: attention heads, of an even size each.
        length: longest sequence.
        dropout: share of dimensions dropped from both parts' output.
        clock: whether gaps in time have a bias.
    """

    def __init__(self, width: int, heads: int, length: int, dropout: float, *, clock: bool) -> None:
        super().__init__()
        self.heads = heads
        self.attention_norm = nn.LayerNorm(width)
        self.project = nn.Linear(width, 3 * width)
        self.attention_out = nn.Linear(width, width)
        self.mlp_norm = nn.LayerNorm(width)
        self.gate = nn.Linear(width, 4 * width)
        self.mlp_out = nn.Linear(2 * width, width)
        self.dropout = LockedDropout(dropout)
        self.gap_bias = nn.Parameter(torch.zeros(heads, GAP_BUCKETS)) if clock else None

    def forward(self, states: Tensor, gaps: Tensor | None) -> Tensor:
        """(batch, length, width) → the same; `gaps` as `TimeInputs.gaps` returns them."""
        batch, length, width = states.shape
        size = width // self.heads
        mixed = self.project(self.attention_norm(states)).view(batch, length, 3, self.heads, size)
        query, key, value = (part.transpose(1, 2) for part in mixed.unbind(2))
        query, key = _rotated(query), _rotated(key)
        logits = (query @ key.transpose(-1, -2)).float() / size**0.5
        if self.gap_bias is not None and gaps is not None:
            logits = logits + self.gap_bias[:, gaps].transpose(0, 1)
        future = torch.ones(length, length, dtype=torch.bool, device=states.device).triu(1)
        weights = torch.softmax(logits.masked_fill(future, -torch.inf), dim=-1)
        attended = (weights.to(value.dtype) @ value).transpose(1, 2).reshape(batch, length, width)
        states = states + self.dropout(self.attention_out(attended))
        gate, content = self.gate(self.mlp_norm(states)).chunk(2, dim=-1)
        added: Tensor = self.dropout(self.mlp_out(functional.silu(gate) * content))
        return states + added

    def newest(self, states: Tensor, gaps: Tensor | None, at: Tensor) -> Tensor:
        """(batch, width): what `forward` gives at one place of each sequence."""
        newest: Tensor = self(states, gaps)[torch.arange(len(states), device=at.device), at]
        return newest


def _rotated(vectors: Tensor) -> Tensor:
    """(batch, heads, length, size) with each pair of dimensions turned by its position times its rate."""
    length, size = vectors.shape[-2:]
    rate = 1.0 / (10_000 ** (torch.arange(0, size, 2, device=vectors.device) / size))
    angle = torch.arange(length, device=vectors.device)[:, None] * rate[None, :]
    cosine, sine = angle.cos().to(vectors.dtype), angle.sin().to(vectors.dtype)
    first, second = vectors.chunk(2, dim=-1)
    return torch.cat([first * cosine - second * sine, first * sine + second * cosine], dim=-1)
