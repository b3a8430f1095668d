"""Feature rows → tensors: the one encoder of training, batch, online and notebooks. It knows no store and no model."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain, repeat

import numpy as np
import numpy.typing as npt
import torch

from recsys.context.batch import ContextBatch, FeatureRow
from recsys.context.profile import ProfileEncoding
from recsys.errors import ConfigError

HISTORY_LENGTH = 200

IntArray = npt.NDArray[np.int64]


class ContextEncoder:
    """Encodes feature rows against a snapshot's vocabulary.

    Attributes:
        vocabulary: item ids; the item at position i has index i + 1, index 0 is padding.
        profile: how profile columns become numbers.
        history_length: events kept, the latest ones.
        unknown_items: how many history events were dropped so far because their item is not in the vocabulary.
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
        self.unknown_items = 0
        self._index = {item_id: index for index, item_id in enumerate(self.vocabulary, start=1)}
        if len(self._index) != len(self.vocabulary):
            raise ConfigError("The vocabulary holds an item id twice; item ids must be unique.")

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
        history, times, values = self._histories(rows)
        seen, seen_counts, seen_last, seen_offsets = self._seen(rows)
        return ContextBatch(
            history=torch.from_numpy(history),
            times=torch.from_numpy(times),
            values=torch.from_numpy(values),
            seen=torch.from_numpy(seen),
            seen_offsets=torch.from_numpy(seen_offsets),
            profile=torch.from_numpy(self.profile.encode([row.profile for row in rows])),
            event_count=torch.tensor([row.event_count for row in rows], dtype=torch.float32),
            moment=torch.tensor(moments if moments is not None else [0] * len(rows), dtype=torch.int64),
            seen_counts=torch.from_numpy(seen_counts),
            seen_last=torch.from_numpy(seen_last),
        )

    def item_indices(self, item_ids: Sequence[str]) -> IntArray:
        """(len(item_ids),) int64 index of each item, 0 for an item that is not in the vocabulary."""
        return np.fromiter(map(self._index.get, item_ids, repeat(0)), np.int64, len(item_ids))

    def _histories(self, rows: Sequence[FeatureRow]) -> tuple[IntArray, IntArray, npt.NDArray[np.float32]]:
        lengths = np.array([len(row.history_items) for row in rows], dtype=np.int64)
        for name in ("history_times", "history_values"):
            if any(len(getattr(row, name)) != length for row, length in zip(rows, lengths, strict=True)):
                raise ConfigError(f"A feature row's {name} has another length than its history_items.")
        total = int(lengths.sum())
        items = self.item_indices(list(chain.from_iterable(row.history_items for row in rows)))
        times = np.fromiter(chain.from_iterable(row.history_times for row in rows), np.int64, total)
        values = np.fromiter(chain.from_iterable(row.history_values for row in rows), np.float32, total)

        known = items > 0
        self.unknown_items += total - int(known.sum())
        row_of = np.repeat(np.arange(len(rows)), lengths)[known]
        ends = np.cumsum(np.bincount(row_of, minlength=len(rows)))
        column = self.history_length - (ends[row_of] - np.arange(len(row_of)))
        kept = column >= 0
        at = (row_of[kept], column[kept])

        shape = (len(rows), self.history_length)
        padded_items, padded_times = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
        padded_values = np.zeros(shape, np.float32)
        padded_items[at] = items[known][kept]
        padded_times[at] = times[known][kept]
        padded_values[at] = values[known][kept]
        return padded_items, padded_times, padded_values

    def _seen(self, rows: Sequence[FeatureRow]) -> tuple[IntArray, IntArray, IntArray, IntArray]:
        lengths = np.array([len(row.seen_items) for row in rows], dtype=np.int64)
        items = self.item_indices(list(chain.from_iterable(row.seen_items for row in rows)))
        times_seen, last = (self._beside_seen(rows, name, len(items)) for name in ("seen_counts", "seen_last"))
        known = items > 0
        counts = np.bincount(np.repeat(np.arange(len(rows)), lengths)[known], minlength=len(rows))
        offsets = np.zeros(len(rows) + 1, dtype=np.int64)
        np.cumsum(counts, out=offsets[1:])
        return items[known], times_seen[known], last[known], offsets

    def _beside_seen(self, rows: Sequence[FeatureRow], name: str, total: int) -> IntArray:
        """(total,) one number a seen item, row after row; zeros for a row in which nobody counted."""
        own = [getattr(row, name) or (0,) * len(row.seen_items) for row in rows]
        if any(len(numbers) != len(row.seen_items) for numbers, row in zip(own, rows, strict=True)):
            raise ConfigError(f"A feature row's {name} has another length than its seen_items.")
        return np.fromiter(chain.from_iterable(own), np.int64, total)
