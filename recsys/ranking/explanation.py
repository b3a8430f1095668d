"""Why an item is recommended, computed from the model: each expert's share, and the history items behind it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from recsys.context.batch import ContextBatch

SharesOf = Callable[[ContextBatch, Tensor], Tensor]
"""From contexts and (columns,) int64 columns: (batch, experts, columns) what each expert adds to each score."""
_TOP_HISTORY = 3
_CONSIDERED = 50


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why one item scores as it does for one context.

    Attributes:
        item_id: the item.
        score: its logit.
        experts: each expert's share; the shares sum to the score.
        history: the history items without which the score would fall the most, with that fall, largest first.
    """

    item_id: str
    score: float
    experts: Mapping[str, float]
    history: tuple[tuple[str, float], ...]


def explain_items(
    shares: SharesOf,
    experts: Sequence[str],
    context: ContextBatch,
    indices: np.ndarray,
    vocabulary: Sequence[str],
    at_once: int,
) -> list[Explanation]:
    """Explains items of one context.

    A history item's contribution is measured by leaving it out: the whole line runs again without it (its head
    included) for each of the newest 50 events.

    Args:
        shares: the fitted model.
        experts: their names.
        context: a batch of one.
        indices: (items,) int64 item index, each at least 1.
        vocabulary: item ids.
        at_once: for how many contexts `shares` is asked at a time.
    """
    columns = torch.from_numpy(indices - 1)
    own = shares(context, columns)[0]
    scores = own.sum(0)
    left_out = _newest(context)
    parts = [left_out[start : start + at_once] for start in range(0, len(left_out), at_once)]
    falls = [scores - shares(_without_each(context, part), columns).sum(1) for part in parts]
    felt = torch.cat([scores.new_zeros(0, len(columns)), *falls])
    return [
        Explanation(
            item_id=vocabulary[int(index) - 1],
            score=float(scores[at]),
            experts={name: float(share) for name, share in zip(experts, own[:, at], strict=True)},
            history=_largest(felt[:, at], left_out, vocabulary),
        )
        for at, index in enumerate(indices)
    ]


def _newest(context: ContextBatch) -> list[int]:
    """The items of the newest events, newest first, each once."""
    history = context.history[0]
    return list(dict.fromkeys(history[history > 0].flip(0).tolist()))[:_CONSIDERED]


def _without_each(context: ContextBatch, left_out: Sequence[int]) -> ContextBatch:
    """One context for each item left out: all its events removed from history and seen set."""
    history, times, values, counts = [], [], [], []
    stays = [context.seen != item for item in left_out]
    for item in left_out:
        keep = (context.history[0] != item) & (context.history[0] > 0)
        history.append(_right_aligned(context.history[0], keep))
        times.append(_right_aligned(context.times[0], keep))
        values.append(_right_aligned(context.values[0], keep))
        counts.append(float(context.event_count[0]) - float((context.history[0] == item).sum()))
    n = len(left_out)
    return replace(
        context,
        history=torch.stack(history),
        times=torch.stack(times),
        values=torch.stack(values),
        seen=torch.cat([context.seen[rest] for rest in stays]),
        seen_offsets=torch.tensor(np.concatenate([[0], np.cumsum([int(rest.sum()) for rest in stays])])),
        profile=context.profile.expand(n, -1),
        event_count=torch.tensor(counts),
        moment=context.moment.expand(n),
        seen_counts=torch.cat([context.seen_counts[rest] for rest in stays]),
        seen_last=torch.cat([context.seen_last[rest] for rest in stays]),
    )


def _right_aligned(row: Tensor, keep: Tensor) -> Tensor:
    kept = row[keep]
    return torch.cat([row.new_zeros(len(row) - len(kept)), kept])


def _largest(falls: Tensor, left_out: Sequence[int], vocabulary: Sequence[str]) -> tuple[tuple[str, float], ...]:
    order = torch.argsort(falls, descending=True, stable=True)[:_TOP_HISTORY].tolist()
    return tuple((vocabulary[left_out[i] - 1], float(falls[i])) for i in order if falls[i] > 0)
