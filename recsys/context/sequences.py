"""Whole histories as flat arrays, for fitting experts and heads without a per-event look-up.

A prefix of a sequence is a context: `prefix_contexts` builds the tensors that the encoder would build from the
feature row as of that moment.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl
import torch

from recsys import columns
from recsys.context.batch import ContextBatch


@dataclass(frozen=True, slots=True)
class Sequences:
    """Every user's positive events in order, users one after another.

    Attributes:
        user_ids: (users,) ids, sorted.
        offsets: (users + 1,) int64; user u's events are [offsets[u], offsets[u + 1]).
        items: (events,) int64 item index, 1..n_items.
        times: (events,) int64 microseconds.
        values: (events,) float32 weights.
        baskets: whether a user's events of equal times are one basket, in which no event comes before another.
    """

    user_ids: tuple[str, ...]
    offsets: np.ndarray
    items: np.ndarray
    times: np.ndarray
    values: np.ndarray
    baskets: bool = False

    def __len__(self) -> int:
        return len(self.user_ids)

    @property
    def lengths(self) -> np.ndarray:
        """(users,) int64 number of events of each user."""
        return np.diff(self.offsets)

    @property
    def positions(self) -> np.ndarray:
        """(events,) int64 how many of the user's events come before each in these arrays."""
        found: np.ndarray = np.arange(len(self.items)) - np.repeat(self.offsets[:-1], self.lengths)
        return found

    @property
    def owners(self) -> np.ndarray:
        """(events,) int64 position of each event's user."""
        found: np.ndarray = np.repeat(np.arange(len(self)), self.lengths)
        return found

    @property
    def known_before(self) -> np.ndarray:
        """(events,) int64 how many first events are known before each: with baskets, those before its basket."""
        positions = self.positions
        if not self.baskets:
            return positions
        begins = (positions == 0) | (np.diff(self.times, prepend=-1) != 0)
        event = np.arange(len(positions))
        known: np.ndarray = np.maximum.accumulate(np.where(begins, event, 0)) - (event - positions)
        return known

    def keep(self, mask: np.ndarray) -> Sequences:
        """The sequences with only the events where `mask` (events,) holds; every user stays, perhaps with none."""
        kept = np.concatenate([[0], np.cumsum(mask)])
        return replace(
            self,
            offsets=kept[self.offsets],
            items=self.items[mask],
            times=self.times[mask],
            values=self.values[mask],
        )

    def without_last(self, count: int | np.ndarray) -> Sequences:
        """The sequences without each user's last `count` events (a number, or one a user)."""
        ends = np.maximum(self.offsets[1:] - count, self.offsets[:-1])
        return self.keep(np.arange(len(self.items)) < np.repeat(ends, self.lengths))

    def take(self, users: np.ndarray) -> Sequences:
        """The sequences of these users (int64 positions), in that order."""
        lengths = self.lengths[users]
        offsets = np.concatenate([[0], np.cumsum(lengths)])
        events = ragged_ranges(self.offsets[:-1][users], lengths)
        ids = tuple(self.user_ids[u] for u in users)
        return Sequences(ids, offsets, self.items[events], self.times[events], self.values[events], self.baskets)


def ragged_ranges(starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """The concatenation of [start, start + length) for each pair, without a Python loop."""
    ends = np.cumsum(lengths)
    ranges: np.ndarray = np.arange(ends[-1] if len(ends) else 0) + np.repeat(starts - (ends - lengths), lengths)
    return ranges


def build_sequences(interactions: pl.DataFrame, vocabulary: Sequence[str], *, baskets: bool = False) -> Sequences:
    """Turns ordered interactions into flat arrays; events of items outside the vocabulary are left out.

    Args:
        interactions: what `recsys.events.ordering.interactions` returns.
        vocabulary: item ids; item i has index i + 1.
        baskets: whether a user's events of equal times are one basket.
    """
    index = pl.DataFrame(
        {columns.ITEM_ID: list(vocabulary), "index": np.arange(1, len(vocabulary) + 1)},
        schema={columns.ITEM_ID: pl.String, "index": pl.Int64},
    )
    known = interactions.join(index, on=columns.ITEM_ID, how="inner", maintain_order="left")
    counts = known.group_by(columns.USER_ID, maintain_order=True).len()
    return Sequences(
        user_ids=tuple(counts[columns.USER_ID].to_list()),
        offsets=np.concatenate([[0], counts["len"].to_numpy().astype(np.int64).cumsum()]),
        items=known["index"].to_numpy(),
        times=known[columns.OCCURRED_AT].to_numpy(),
        values=known[columns.VALUE].to_numpy().astype(np.float32),
        baskets=baskets,
    )


def prefix_contexts(
    sequences: Sequences,
    users: np.ndarray,
    lengths: np.ndarray,
    profile: np.ndarray,
    *,
    history_length: int,
    keep: np.ndarray | None = None,
) -> ContextBatch:
    """Contexts made of each user's first `lengths` events.

    Args:
        sequences: all sequences.
        users: (batch,) positions of users in `sequences`.
        lengths: (batch,) how many of that user's first events are known.
        profile: (users, profile_width) float32 rows in the order of `sequences.user_ids`.
        history_length: window of the history tensor.
        keep: (batch,) history dropout: only the newest `keep` of the known events stay; None keeps all.

    Returns:
        The context batch; `moment` is 0 (the target's time is no input).
    """
    starts = sequences.offsets[:-1][users]
    ends = starts + lengths
    first = starts if keep is None else np.maximum(starts, ends - keep)
    counts = ends - first
    window = ends[:, None] - np.arange(history_length, 0, -1)[None, :]
    inside = window >= first[:, None]
    at = np.where(inside, window, 0)
    events = ragged_ranges(first, counts)
    seen, seen_counts, newest, widths = _touched(sequences.items[events], counts)
    rows = profile[users]
    return ContextBatch(
        history=torch.from_numpy(np.where(inside, sequences.items[at], 0)),
        times=torch.from_numpy(np.where(inside, sequences.times[at], 0)),
        values=torch.from_numpy(np.where(inside, sequences.values[at], 0).astype(np.float32)),
        seen=torch.from_numpy(seen),
        seen_offsets=torch.from_numpy(np.concatenate([[0], np.cumsum(widths)])),
        profile=torch.from_numpy(rows.astype(np.float32)),
        event_count=torch.from_numpy(counts.astype(np.float32)),
        moment=torch.zeros(len(users), dtype=torch.int64),
        seen_counts=torch.from_numpy(seen_counts),
        seen_last=torch.from_numpy(sequences.times[events[newest]]),
    )


def _touched(items: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Each context's distinct items in order of first touch, context after context.

    Args:
        items: (events,) item index, context after context.
        counts: (contexts,) events of each context.

    Returns:
        The distinct items, how many events each has, the position in `items` of its newest event (all of one length),
        and (contexts,) how many distinct items a context has.
    """
    rows = np.repeat(np.arange(len(counts)), counts)
    pairs = rows * (int(items.max(initial=0)) + 1) + items
    by_pair = np.argsort(pairs, kind="stable")  # events of one context and item side by side, oldest first
    starts = np.flatnonzero(np.diff(pairs[by_pair], prepend=-1))
    ends = np.append(starts[1:], len(items))[: len(starts)]
    first, newest = by_pair[starts], by_pair[ends - 1]
    order = np.argsort(first)
    touched = first[order]
    return items[touched], (ends - starts)[order], newest[order], np.bincount(rows[touched], minlength=len(counts))
