"""Next items that no expert was fitted on, with the experts' say: what heads are trained on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from recsys.context.sequences import Sequences, prefix_contexts, ragged_ranges
from recsys.experts.linear import prefix_of_events
from recsys.model.scoring import ExpertOutputs, ScoringNetwork
from recsys.model.statistics import context_statistics
from recsys.ranking.masks import seen_mask

_BLOCK = 256


@dataclass(frozen=True, slots=True)
class Targets:
    """Which next items to predict, each from the events before it.

    Attributes:
        users: (targets,) int64 position of the user in the sequences.
        items: (targets,) int64 index of the item to predict.
        lengths: (targets,) int64 how many first events are known: all before the target, or before its basket.
        keep: (targets,) int64 history dropout: only the newest `keep` of them are shown.
    """

    users: np.ndarray
    items: np.ndarray
    lengths: np.ndarray
    keep: np.ndarray

    def __len__(self) -> int:
        return len(self.users)

    @property
    def complete(self) -> np.ndarray:
        """(targets,) bool: those that show all events."""
        return self.keep >= self.lengths

    def what_follows(self, sequences: Sequences) -> tuple[np.ndarray, np.ndarray]:
        """Everything that follows each target's context at once: the target, or with baskets its whole basket.

        Args:
            sequences: those that the targets were drawn from.

        Returns:
            (total,) int64 row of the target and (total,) int64 item index.
        """
        first = sequences.offsets[self.users] + self.lengths
        sizes = np.ones(len(self), np.int64)
        if sequences.baskets:
            _, start, counts = np.unique(prefix_of_events(sequences), return_index=True, return_counts=True)
            sizes = counts[np.searchsorted(start, first)]
        return np.repeat(np.arange(len(self)), sizes), sequences.items[ragged_ranges(first, sizes)]

    def take(self, rows: np.ndarray) -> Targets:
        """A selection of the targets."""
        return Targets(self.users[rows], self.items[rows], self.lengths[rows], self.keep[rows])


@dataclass(frozen=True, slots=True)
class Prepared:
    """Targets with the frozen experts' outputs.

    Attributes:
        scores: (targets, experts, n_items) float16 expert scores on one scale.
        states: (targets, width) float32.
        statistics: (targets, n_statistics) float32.
        items: (targets,) int64 column of the target item.
        masked: (targets, n_items) bool, items that the target is not compared with: those that cannot be the next one,
            and the others of its basket; never the target.
    """

    scores: Tensor
    states: Tensor
    statistics: Tensor
    items: Tensor
    masked: Tensor

    def __len__(self) -> int:
        return len(self.items)

    def outputs(self, rows: Tensor) -> ExpertOutputs:
        """The experts' outputs of some targets, in float32."""
        return ExpertOutputs(self.states[rows], self.scores[rows].float())


def held_out_targets(
    sequences: Sequences,
    targets: np.ndarray,
    limit: int,
    rng: np.random.Generator,
    keeps: tuple[int, ...],
    dropped_share: float,
    per_basket: int | None = None,
) -> Targets:
    """Next items among events that no expert was fitted on, at most `limit` of them, with history dropout.

    Args:
        sequences: complete training sequences.
        targets: (events,) bool which may be targets; those before which nothing is known are left out.
        limit: at most so many targets, drawn at random.
        rng: source of randomness.
        keeps: lengths that dropout may cut a history to.
        dropped_share: how many targets it cuts.
        per_basket: at most so many of a basket's items, drawn at random; None for all.
    """
    events = np.flatnonzero(targets)
    if per_basket is not None:
        events = _some_of_each_basket(sequences, events, per_basket, rng)
    known = sequences.known_before[events]
    events, known = events[known > 0], known[known > 0]
    users = np.searchsorted(sequences.offsets, events, side="right") - 1
    chosen = np.sort(rng.permutation(len(users))[:limit])
    keep = known.copy()
    dropped = rng.random(len(users)) < dropped_share
    keep[dropped] = np.minimum(keep[dropped], rng.choice(keeps, size=int(dropped.sum())))
    return Targets(users[chosen], sequences.items[events][chosen], known[chosen], keep[chosen])


def _some_of_each_basket(sequences: Sequences, events: np.ndarray, most: int, rng: np.random.Generator) -> np.ndarray:
    """At most `most` of the events (int64 positions) of each basket, in order."""
    basket = prefix_of_events(sequences)
    shuffled = rng.permutation(events)
    order = np.argsort(basket[shuffled], kind="stable")
    own = basket[shuffled][order]
    first = np.searchsorted(own, own, side="left")
    return np.sort(shuffled[order][np.arange(len(own)) - first < most])


def prepare(
    network: ScoringNetwork,
    sequences: Sequences,
    targets: Targets,
    profile: np.ndarray,
    *,
    history_length: int,
    clock: bool,
    repeats: bool,
) -> Prepared:
    """Runs the frozen experts over the targets' contexts, block by block.

    Args:
        network: the frozen experts.
        sequences: complete training sequences.
        targets: which next items.
        profile: (users, profile_width) float32.
        history_length: window of the history tensor.
        clock: whether event times are real.
        repeats: whether seen items may come again.
    """
    n_targets, n_items = len(targets), network.n_items
    scores = torch.empty(n_targets, len(network.names), n_items, dtype=torch.float16)
    masked = torch.zeros(n_targets, n_items, dtype=torch.bool)
    items = torch.from_numpy(targets.items - 1)
    states, statistics = [], []
    for start in range(0, n_targets, _BLOCK):
        rows = slice(start, min(start + _BLOCK, n_targets))
        part = targets.take(np.arange(rows.start, rows.stop))
        context = prefix_contexts(
            sequences, part.users, part.lengths, profile, history_length=history_length, keep=part.keep
        )
        outputs = network.outputs(context)
        scores[rows] = outputs.scores
        states.append(outputs.states)
        statistics.append(context_statistics(context, outputs, network, clock=clock))
        if not repeats:
            masked[rows] = seen_mask(context, n_items)
        with_it, others = part.what_follows(sequences)
        masked[rows][torch.from_numpy(with_it), torch.from_numpy(others - 1)] = True
        masked[rows].scatter_(1, items[rows, None], value=False)
    return Prepared(scores, torch.cat(states), torch.cat(statistics), items, masked)
