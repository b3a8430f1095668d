"""The fit of the habit expert: one softmax over the whole catalogue for each of the users' last next baskets."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from recsys.context.sequences import Sequences, prefix_contexts, ragged_ranges
from recsys.errors import TrainingError
from recsys.experts.habit import HabitConfig, HabitExpert, records
from recsys.experts.linear import prefix_of_events

_BLOCK = 256
_STEPS = 60
_SEED = 5
_ITEM_FEATURES = 2


@dataclass(frozen=True, slots=True)
class _Examples:
    """What each target basket's context says of its items, and which of these are in the basket.

    Attributes:
        rows: (records,) int64 target of each record, ascending.
        columns: (records,) int64 item.
        numbers: (records, features) float32.
        taken: (records,) float32, 1 where the item is in the basket.
        first_times: (targets,) float32 distinct items of the basket that the user has no positive event of.
        unseen: (targets,) float32 items of the catalogue that the user has no positive event of.
    """

    rows: Tensor
    columns: Tensor
    numbers: Tensor
    taken: Tensor
    first_times: Tensor
    unseen: Tensor


def fit_habit(sequences: Sequences, n_items: int, config: HabitConfig, *, history_length: int) -> HabitExpert:
    """Minimises the log-loss of the items of the users' last baskets (or events), each basket weighing the same.

    An item's intercept is shrunk towards what its popularity and its share of repeated events foretell.

    Args:
        sequences: the events to fit on.
        n_items: size of the vocabulary.
        config: the settings.
        history_length: window of the history tensor.

    Raises:
        TrainingError: the loss is not finite.
    """
    found = _examples(sequences, n_items, config, history_length)
    described = _item_features(sequences, n_items)
    if not len(found.rows):
        return HabitExpert(torch.zeros(len(config.half_lives) + 2), torch.zeros(n_items), torch.zeros(()), config)
    mean, deviation = found.numbers.mean(0), found.numbers.std(0, correction=0).clamp(min=1e-3)
    numbers = (found.numbers - mean) / deviation
    weights = torch.zeros(numbers.shape[1], requires_grad=True)
    foretold = torch.zeros(_ITEM_FEATURES, requires_grad=True)
    own = torch.zeros(n_items, requires_grad=True)
    unseen = torch.full((), -1.0, requires_grad=True)
    optimizer = torch.optim.LBFGS([weights, foretold, own, unseen], max_iter=_STEPS, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        intercepts = described @ foretold + own
        loss = _log_loss(numbers @ weights + intercepts[found.columns], unseen, found)
        loss = loss + config.weight_penalty * (weights.square().sum() + foretold.square().sum())
        loss = loss + config.item_penalty * own.square().sum()
        loss.backward()  # type: ignore[no-untyped-call]
        if not bool(torch.isfinite(loss)):
            raise TrainingError("The habit expert's loss is not finite. Raise habit.item_penalty.")
        return loss.detach()

    optimizer.step(closure)  # type: ignore[no-untyped-call]
    with torch.no_grad():
        scaled = weights / deviation
        intercepts = described @ foretold + own - scaled @ mean
        return HabitExpert(scaled.detach(), intercepts.detach(), unseen.detach(), config)


def _log_loss(logits: Tensor, unseen: Tensor, found: _Examples) -> Tensor:
    """Mean over targets of the mean log-loss of the basket's items, over the whole catalogue."""
    n_targets = len(found.unseen)
    rest = unseen.expand(n_targets)
    peak = rest.detach().clone().scatter_reduce(0, found.rows, logits.detach(), "amax")
    mass = found.unseen * torch.exp(rest - peak)
    mass = mass.index_add(0, found.rows, torch.exp(logits - peak[found.rows]))
    said = (found.first_times * rest).index_add(0, found.rows, logits * found.taken)
    size = found.first_times.index_add(0, found.rows, found.taken)
    return (mass.log() + peak - said / size).mean()


def _examples(sequences: Sequences, n_items: int, config: HabitConfig, history_length: int) -> _Examples:
    users, known, first, sizes = _last_baskets(sequences, config)
    nothing = np.zeros((len(sequences), 0), np.float32)
    parts: list[tuple[Tensor, ...]] = []
    for start in range(0, len(users), _BLOCK):
        block = slice(start, start + _BLOCK)
        context = prefix_contexts(sequences, users[block], known[block], nothing, history_length=history_length)
        rows, columns, numbers = records(context, n_items, config)
        basket = torch.zeros(len(context), n_items, dtype=torch.bool)
        row = np.repeat(np.arange(len(context)), sizes[block])
        basket[row, sequences.items[ragged_ranges(first[block], sizes[block])] - 1] = True
        taken = basket[rows, columns].float()
        met = torch.bincount(rows, minlength=len(context))
        repeated = torch.zeros(len(context)).index_add(0, rows, taken)
        parts.append((rows + start, columns, numbers, taken, basket.sum(1) - repeated, (n_items - met).float()))
    if not parts:
        nothing_found = torch.zeros(0, dtype=torch.int64)
        return _Examples(nothing_found, nothing_found, *[torch.zeros(0)] * 4)
    return _Examples(*(torch.cat(own) for own in zip(*parts, strict=True)))


def _last_baskets(sequences: Sequences, config: HabitConfig) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Users, known events, first event and size of each user's last baskets that something comes before."""
    first, sizes = np.unique(prefix_of_events(sequences), return_index=True, return_counts=True)[1:]
    users = np.searchsorted(sequences.offsets, first, side="right") - 1
    from_last = np.searchsorted(users, users, side="right") - np.arange(len(users))
    kept = np.flatnonzero((from_last <= config.targets_per_user) & (sequences.positions[first] > 0))
    kept = np.sort(np.random.default_rng(_SEED).permutation(kept)[: config.max_targets])
    return users[kept], sequences.positions[first][kept], first[kept], sizes[kept]


def _item_features(sequences: Sequences, n_items: int) -> Tensor:
    """(n_items, 2) float32, standardised: log popularity and the logit of the share of repeated events."""
    events = np.bincount(sequences.items - 1, minlength=n_items)
    owner = sequences.owners
    buyers = np.bincount(np.unique(owner * n_items + sequences.items - 1) % n_items, minlength=n_items)
    repeated = (events - buyers + 1) / (events + 5)
    found = np.stack([np.log1p(events), np.log(repeated / (1 - repeated))], axis=1)
    found = (found - found.mean(0)) / np.maximum(found.std(0), 1e-3)
    return torch.from_numpy(found.astype(np.float32))
