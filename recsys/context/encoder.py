"""Feature rows → tensors: the one encoder of training, batch, online and notebooks. It knows no store and no model."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain, repeat

import numpy as np
import torch

from recsys.context.batch import ContextBatch, FeatureRow
from recsys.context.faults import ContextFaults
from recsys.context.profile import ProfileEncoding
from recsys.context.treatment import (
    FloatArray,
    IntArray,
    as_float32,
    at_least,
    by_time,
    finite_values,
    known_records,
    since_1970,
)
from recsys.errors import ConfigError

HISTORY_LENGTH = 200

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Histories:
    """Histories side by side.

    Attributes:
        items: (batch, length) item index, right-aligned.
        times: (batch, length) microseconds.
        values: (batch, length) weights.
        known: (batch,) events of known items, those before the window included.
        oldest: (batch,) the oldest believable time, 0 where there is none.
        faults: what was treated.
    """

    items: IntArray
    times: IntArray
    values: FloatArray
    known: IntArray
    oldest: IntArray
    faults: ContextFaults


class ContextEncoder:
    """Encodes feature rows against a snapshot's vocabulary. What cannot be true is treated (`treatment`) and counted.

    Attributes:
        vocabulary: item ids; the item at position i has index i + 1, index 0 is padding.
        profile: how profile columns become numbers.
        history_length: events kept, the latest ones.
        faults: what was treated so far.
    """

    def __init__(
        self, vocabulary: Sequence[str], profile: ProfileEncoding, history_length: int = HISTORY_LENGTH
    ) -> None:
        """Raises: ConfigError when an item id is twice in the vocabulary or the length is not positive."""
        if history_length < 1:
            raise ConfigError(f"history_length is {history_length}; it must be at least 1.")
        self.vocabulary = tuple(vocabulary)
        self.profile = profile
        self.history_length = history_length
        self.faults = ContextFaults()
        self._counting = threading.Lock()
        self._index = {item_id: index for index, item_id in enumerate(self.vocabulary, start=1)}
        if len(self._index) != len(self.vocabulary):
            raise ConfigError("The vocabulary holds an item id twice; item ids must be unique.")

    @property
    def unknown_items(self) -> int:
        """How many history events were dropped so far because their item is not in the vocabulary."""
        return self.faults.unknown_items

    def encode(self, rows: Sequence[FeatureRow], moments: Sequence[int] | None = None) -> ContextBatch:
        """Encodes a batch.

        Args:
            rows: feature rows, one a context.
            moments: when each recommendation is asked for, int64 microseconds; None leaves them unknown (0).

        Returns:
            Tensors of batch size len(rows) and length `history_length`; a row's numbers do not depend on its batch.

        Raises:
            ConfigError: `moments` has another length than `rows`, or a row's lists do not match.
            DataError: a numeric profile column holds something that is not a number.
        """
        if moments is not None and len(moments) != len(rows):
            raise ConfigError(f"{len(rows)} rows came with {len(moments)} moments; give one moment a row.")
        histories = self._histories(rows)
        seen, seen_counts, seen_last, seen_offsets, wrong_records = self._seen(rows, histories.oldest)
        event_counts = as_float32((row.event_count for row in rows), len(rows))
        event_counts, wrong_counts = at_least(event_counts, histories.known)
        profiles = [row.profile for row in rows]
        encoded = ContextBatch(
            history=torch.from_numpy(histories.items),
            times=torch.from_numpy(histories.times),
            values=torch.from_numpy(histories.values),
            seen=torch.from_numpy(seen),
            seen_offsets=torch.from_numpy(seen_offsets),
            profile=torch.from_numpy(self.profile.encode(profiles)),
            event_count=torch.from_numpy(event_counts),
            moment=torch.tensor(moments if moments is not None else [0] * len(rows), dtype=torch.int64),
            seen_counts=torch.from_numpy(seen_counts),
            seen_last=torch.from_numpy(seen_last),
        )
        wrong_numbers = self.profile.not_finite(profiles)
        self._count(
            replace(
                histories.faults,
                records=wrong_records,
                event_counts=wrong_counts,
                profile_numbers=wrong_numbers,
            )
        )
        return encoded

    def item_indices(self, item_ids: Sequence[str]) -> IntArray:
        """(len(item_ids),) int64 index of each item, 0 for an item that is not in the vocabulary."""
        return np.fromiter(map(self._index.get, item_ids, repeat(0)), np.int64, len(item_ids))

    def _histories(self, rows: Sequence[FeatureRow]) -> _Histories:
        lengths = np.array([len(row.history_items) for row in rows], dtype=np.int64)
        for name in ("history_times", "history_values"):
            if any(len(getattr(row, name)) != length for row, length in zip(rows, lengths, strict=True)):
                raise ConfigError(f"A feature row's {name} has another length than its history_items.")
        total = int(lengths.sum())
        items = self.item_indices(list(chain.from_iterable(row.history_items for row in rows)))
        times = np.fromiter(chain.from_iterable(row.history_times for row in rows), np.int64, total)
        values = as_float32(chain.from_iterable(row.history_values for row in rows), total)

        known = np.flatnonzero(items)
        row_of = np.repeat(np.arange(len(rows)), lengths)[known]
        in_order, backwards = by_time(row_of, times[known])
        known = known[in_order]
        items, times = items[known], times[known]
        values, not_finite = finite_values(values[known])
        faults = ContextFaults(
            unknown_items=total - len(known), values=not_finite, times=int((times <= 0).sum()), order=backwards
        )
        counts = np.bincount(row_of, minlength=len(rows))
        column = self.history_length - (np.cumsum(counts)[row_of] - np.arange(len(row_of)))
        kept = column >= 0
        at = (row_of[kept], column[kept])

        shape = (len(rows), self.history_length)
        padded_items, padded_times = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
        padded_values = np.zeros(shape, np.float32)
        padded_items[at] = items[kept]
        padded_times[at] = times[kept]
        padded_values[at] = values[kept]
        padded_times, oldest = since_1970(padded_times, padded_items > 0)
        return _Histories(padded_items, padded_times, padded_values, counts, oldest, faults)

    def _seen(self, rows: Sequence[FeatureRow], oldest: IntArray) -> tuple[IntArray, IntArray, IntArray, IntArray, int]:
        """Seen items, their counts, their last times, the offsets, and how many items' records were wrong."""
        lengths = np.array([len(row.seen_items) for row in rows], dtype=np.int64)
        items = self.item_indices(list(chain.from_iterable(row.seen_items for row in rows)))
        counted, last = (self._beside_seen(rows, name, len(items)) for name in ("seen_counts", "seen_last"))
        known = items > 0
        row_of = np.repeat(np.arange(len(rows)), lengths)[known]
        counted, last, wrong = known_records(counted[known], last[known], oldest[row_of])
        offsets = np.zeros(len(rows) + 1, dtype=np.int64)
        np.cumsum(np.bincount(row_of, minlength=len(rows)), out=offsets[1:])
        return items[known], counted, last, offsets, wrong

    def _beside_seen(self, rows: Sequence[FeatureRow], name: str, total: int) -> IntArray:
        """(total,) one number a seen item, row after row; zeros for a row in which nobody counted."""
        own = [getattr(row, name) or (0,) * len(row.seen_items) for row in rows]
        if any(len(numbers) != len(row.seen_items) for numbers, row in zip(own, rows, strict=True)):
            raise ConfigError(f"A feature row's {name} has another length than its seen_items.")
        return np.fromiter(chain.from_iterable(own), np.int64, total)

    def _count(self, found: ContextFaults) -> None:
        """Adds to the faults so far; requests are answered in several threads."""
        if not any(found.as_dict().values()):
            return
        with self._counting:
            self.faults += found
        if found.unexpected:
            _log.warning("contexts were treated before they were scored: %s", found)
