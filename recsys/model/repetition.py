"""How somebody repeats themselves: how many events are of items met before and, of baskets, how much is taken at once.

Read where items repeat. Knows items as numbers only.
"""

from __future__ import annotations

import torch
from torch import Tensor

from recsys.context.batch import ContextBatch

SPANS = (20, 60, 200)
"""Newest events among which repeated ones are counted."""


def repetition(context: ContextBatch, *, baskets: bool) -> Tensor:
    """Log-odds that an event repeats an item of the window, for each span; size of the last basket, mean size, number.

    Args:
        context: the batch.
        baskets: whether events of equal times are one basket; if not, the last three are left out.

    Returns:
        (batch, spans or spans + 3) float32, finite; 0 where nothing is known.
    """
    known = context.history > 0
    again = _met_before(context.history)
    parts = [_log_odds(again[:, -span:], known[:, -span:]) for span in SPANS]
    if baskets:
        count, last = _baskets(context.times, known)
        parts += [torch.log1p(last), torch.log1p(known.sum(1) / count.clamp(min=1)), torch.log1p(count)]
    return torch.stack(parts, dim=1).float()


def usual_basket(context: ContextBatch, *, baskets: bool) -> Tensor:
    """(batch,) float32 events of a basket of the window, on average: at least 1, and 1 where nothing is known.

    Without baskets every event is one by itself.
    """
    if not baskets:
        return torch.ones(len(context))
    known = context.history > 0
    count, _ = _baskets(context.times, known)
    return (known.sum(1) / count.clamp(min=1)).clamp(min=1).float()


def _met_before(history: Tensor) -> Tensor:
    """(batch, length) bool: whether an earlier event of the window is of the same item."""
    order = torch.argsort(history, dim=1, stable=True)
    items = history.gather(1, order)
    same = torch.zeros_like(history, dtype=torch.bool)
    same[:, 1:] = (items[:, 1:] == items[:, :-1]) & (items[:, 1:] > 0)
    return torch.zeros_like(same).scatter(1, order, same)


def _log_odds(happened: Tensor, known: Tensor) -> Tensor:
    """(batch,) with one of each added, so that few events say little."""
    count = (happened & known).sum(1)
    return torch.log(count + 1.0) - torch.log(known.sum(1) - count + 1.0)


def _baskets(times: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
    """(batch,) baskets in the window, and (batch,) events of the last one."""
    begins = known[:, 1:] & known[:, :-1] & (times[:, 1:] != times[:, :-1])
    baskets = begins.sum(1) + known.any(1)
    last = (known & (times == times[:, -1:])).sum(1)
    return baskets, last
