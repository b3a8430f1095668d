"""How a history hangs together: like neighbours or a mixture, one taste or one that moved. Knows items as vectors only.

The state tells what may come next; these tell how far the order and the length of a history can be trusted.
"""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor
from torch.nn import functional

LAGS = ((1,), (2,), (3, 4, 5), (6, 8, 10), (12, 15, 18))
"""Events apart; one number for each group."""
SPANS = (10, 60)
"""Over how many newest events the likeness is averaged."""
MEANS = (5, 20, 200)
"""Newest events whose mean vectors are compared."""
_NO_LENGTH = 1e-6
N_COHERENCE = len(LAGS) * len(SPANS) + len(MEANS) + len(MEANS) * (len(MEANS) - 1) // 2


def unit_vectors(items: Tensor) -> Tensor:
    """Item vectors without their common part, of length one.

    Args:
        items: (n_items + 1, width) float32; row 0 is padding.

    Returns:
        (n_items + 1, width) float32; row 0 is zero.
    """
    centred = functional.normalize(items[1:] - items[1:].mean(0), dim=1)
    return torch.cat([items.new_zeros(1, items.shape[1]), centred])


def coherence(history: Tensor, vectors: Tensor) -> Tensor:
    """Likeness of events some steps apart, concentration of recent and older events, and how far these agree.

    Args:
        history: (batch, length) int64 item index, right-aligned, 0 where padded.
        vectors: what `unit_vectors` returns.

    Returns:
        (batch, N_COHERENCE) float32 between -1 and 1; 0 where there are too few events.
    """
    known = (history > 0).to(vectors.dtype)
    events = vectors[history]
    return torch.cat([_likeness(events, known), _drift(events, known)], dim=1)


def _likeness(events: Tensor, known: Tensor) -> Tensor:
    """(batch, spans x lags) mean cosine of events a lag apart, the later one within the span."""
    window = min(max(SPANS) + max(max(lags) for lags in LAGS), events.shape[1])
    newest, there = events[:, -window:], known[:, -window:]
    cosines = torch.bmm(newest, newest.transpose(1, 2))  # 0 where one of both is no event
    both = there[:, :, None] * there[:, None, :]
    counts = _pairs(window).to(events)
    return (cosines.flatten(1) @ counts) / (both.flatten(1) @ counts).clamp(min=1)


@cache
@torch.inference_mode(mode=False)  # kept for training as well, whoever asks first
def _pairs(window: int) -> Tensor:
    """(window x window, spans x lags) 1 where two events are a lag apart and the later one is within the span."""
    later, earlier = torch.arange(window)[:, None], torch.arange(window)[None, :]
    counted = [
        (later >= window - span) & (torch.stack([later - earlier == lag for lag in lags]).any(0))
        for span in SPANS
        for lags in LAGS
    ]
    return torch.stack(counted, dim=2).flatten(0, 1).float()


def _drift(events: Tensor, known: Tensor) -> Tensor:
    """(batch, means + pairs of means): the length of each mean vector, and the cosine of each two."""
    means = [events[:, -span:].sum(1) / known[:, -span:].sum(1, keepdim=True).clamp(min=1) for span in MEANS]
    stacked = torch.stack(means, dim=1)
    lengths = stacked.norm(dim=2)
    unit = stacked / lengths.clamp(min=_NO_LENGTH)[:, :, None]
    one, other = pairs_of(len(means))
    return torch.cat([lengths, torch.bmm(unit, unit.transpose(1, 2))[:, one, other]], dim=1)


@cache
@torch.inference_mode(mode=False)
def pairs_of(number: int) -> tuple[Tensor, Tensor]:
    """Both members of each pair out of so many, in order: (pairs,) int64 each."""
    one, other = torch.triu_indices(number, number, offset=1)
    return one, other
