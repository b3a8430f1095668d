"""What is done with numbers of a feature row that cannot be true, so that none of them makes a score NaN.

The fold makes none, unless the log holds times before 1970. What a function gives for one row does not depend on the
others of the batch.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float32]
BoolArray = npt.NDArray[np.bool_]


def as_float32(numbers: Iterable[float], count: int) -> FloatArray:
    """(count,) float32; numbers beyond its range become infinite."""
    with np.errstate(over="ignore"):
        return np.fromiter(numbers, np.float32, count)


def finite_values(values: FloatArray) -> tuple[FloatArray, int]:
    """The weights of events, 1 where one is not finite; and how many are not."""
    wrong = ~np.isfinite(values)
    return np.where(wrong, np.float32(1), values), int(wrong.sum())


def by_time(row_of: IntArray, times: IntArray) -> tuple[IntArray, int]:
    """The order that the fold promises: by time, events of equal times as they stand.

    Args:
        row_of: (events,) the context of each event, ascending.
        times: (events,) microseconds.

    Returns:
        (events,) int64 positions in that order, and how many events happened before the one that stands before them.
    """
    back = (times[1:] < times[:-1]) & (row_of[1:] == row_of[:-1])
    return np.lexsort((times, row_of)) if back.any() else np.arange(len(times)), int(back.sum())


def since_1970(times: IntArray, there: BoolArray) -> tuple[IntArray, IntArray]:
    """An event without a believable time happened when the oldest event with one did: no gap is invented.

    Args:
        times: (batch, length) microseconds.
        there: (batch, length), where there is an event.

    Returns:
        (batch, length) times, 0 where there is no event; and (batch,) the oldest believable time, 0 without one.
    """
    latest = np.iinfo(np.int64).max
    believed = there & (times > 0)
    oldest = np.where(believed, times, latest).min(axis=1, initial=latest)
    oldest[~believed.any(axis=1)] = 0
    return np.where(there, np.where(believed, times, oldest[:, None]), 0), oldest


def known_records(counts: IntArray, last: IntArray, oldest: IntArray) -> tuple[IntArray, IntArray, int]:
    """A seen item's negative count says nothing (0), and a negative last time that it was as the history begins.

    Args:
        counts: (total,) events of each seen item.
        last: (total,) when the last of them was, microseconds.
        oldest: (total,) the oldest believable time of the same context's history.

    Returns:
        (total,) counts, (total,) last times, and how many seen items have either wrong.
    """
    wrong = int(((counts < 0) | (last < 0)).sum())
    return np.maximum(counts, 0), np.where(last < 0, oldest, last), wrong


def at_least(event_counts: FloatArray, in_history: IntArray) -> tuple[FloatArray, int]:
    """Numbers of events, those in the history where a number is not finite or smaller; and how many are."""
    wrong = ~(np.isfinite(event_counts) & (event_counts >= in_history))
    return np.where(wrong, in_history.astype(np.float32), event_counts), int(wrong.sum())
