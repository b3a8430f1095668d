"""What is another in everybody's sequences than it was: from which event on, user by user. Knows no expert."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from recsys.context.sequences import Sequences, ragged_ranges


@dataclass(frozen=True, slots=True)
class Changes:
    """The users whose sequences differ, before and after, and where they begin to.

    Attributes:
        before: their sequences as they were; users that are new are not among them.
        before_from: (users before,) int64 how many first events stayed the same. With baskets whole ones only.
        after: their sequences as they are; users that are gone are not among them.
        after_from: (users after,) int64 likewise.
    """

    before: Sequences
    before_from: np.ndarray
    after: Sequences
    after_from: np.ndarray


def changes(before: Sequences, after: Sequences, places: np.ndarray | None = None) -> Changes:
    """Compares two states of the log: appended, late, changed and removed events, new and gone users.

    Args:
        before: everybody's sequences as they were.
        after: as they are now.
        places: (items before + 1,) int64 index that each item has now, 0 for one that is gone; None: the same ones.
    """
    items = before.items if places is None else places[before.items]
    position = {user_id: place for place, user_id in enumerate(after.user_ids)}
    now = np.array([position.get(user_id, -1) for user_id in before.user_ids], dtype=np.int64)
    both = np.flatnonzero(now >= 0)
    before_from, after_from = np.zeros(len(before), np.int64), np.zeros(len(after), np.int64)
    kept = _kept(before, items, both, after, now[both])
    before_from[both], after_from[now[both]] = kept, kept
    other_before, other_after = before_from < before.lengths, after_from < after.lengths
    other_before[both], other_after[now[both]] = (other_before[both] | other_after[now[both]],) * 2
    were, are = np.flatnonzero(other_before), np.flatnonzero(other_after)
    return Changes(before.take(were), before_from[were], after.take(are), after_from[are])


def recent(sequences: Sequences, first: np.ndarray, window: int) -> Sequences:
    """The events from `first` (one a user) on, and the `window` ones before them, which weigh nothing as targets."""
    users = np.flatnonzero(first < sequences.lengths)
    sequences, first = sequences.take(users), first[users]
    starts = np.maximum(first - window, 0)
    kept = sequences.keep(sequences.positions >= np.repeat(starts, sequences.lengths))
    targets = kept.positions >= np.repeat(first - starts, kept.lengths)
    return replace(kept, values=np.where(targets, kept.values, 0).astype(np.float32))


def _kept(before: Sequences, items: np.ndarray, users: np.ndarray, after: Sequences, now: np.ndarray) -> np.ndarray:
    """(users,) how many first events are the same before (position `users`) and after (position `now`)."""
    shared = np.minimum(before.lengths[users], after.lengths[now])
    old, new = ragged_ranges(before.offsets[users], shared), ragged_ranges(after.offsets[now], shared)
    known_before, known_after = before.known_before, after.known_before
    same = (items[old] == after.items[new]) & (before.values[old] == after.values[new])
    same &= known_before[old] == known_after[new]
    kept = shared.copy()
    differs = np.flatnonzero(~same)
    owner = np.repeat(np.arange(len(users)), shared)
    position = old - np.repeat(before.offsets[users], shared)
    np.minimum.at(kept, owner[differs], position[differs])
    starts = (_basket_start(before, users, kept, known_before), _basket_start(after, now, kept, known_after))
    found: np.ndarray = np.minimum(*starts)
    return found


def _basket_start(sequences: Sequences, users: np.ndarray, at: np.ndarray, known: np.ndarray) -> np.ndarray:
    """(users,) where the basket of each user's event `at` begins; `at` itself where there is no such event."""
    there = at < sequences.lengths[users]
    found = at.copy()
    found[there] = known[(sequences.offsets[users] + at)[there]]
    return found
