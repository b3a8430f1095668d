"""Any number of users for a drawn catalogue: each begins like a real one, with kin in the place of items."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Self

import numpy as np

from benchmarks.stores.synthetic import START
from recsys.context.batch import FeatureRow
from recsys.context.encoder import HISTORY_LENGTH
from recsys.context.sequences import Sequences

_FILE = "drawn-users.npz"
_FEWEST = 5
_SECOND = 1_000_000


class DrawnUsers:
    """Contexts of users `0`, `1`, …, drawn when they are asked for: memory does not grow with them.

    Args:
        offsets: (real users + 1,) where each real history begins in `items`.
        items: (events,) item index of the champion's catalogue, 1 for its first item.
        kin: (n_items,) column of the champion's item that each item of the drawn catalogue is kin to.
        vocabulary: ids of the drawn catalogue.
    """

    def __init__(self, offsets: np.ndarray, items: np.ndarray, kin: np.ndarray, vocabulary: Sequence[str]) -> None:
        self._offsets = offsets
        self._items = items
        self._kin = kin
        self._vocabulary = vocabulary
        self._by_kin = np.argsort(kin, kind="stable")
        self._starts = np.searchsorted(kin[self._by_kin], np.arange(int(kin.max()) + 2))

    @classmethod
    def opened(cls, folder: Path, vocabulary: Sequence[str]) -> Self:
        """What `save` left in a folder."""
        with np.load(folder / _FILE) as arrays:
            return cls(arrays["offsets"], arrays["items"], arrays["kin"], vocabulary)

    @staticmethod
    def save(folder: Path, sequences: Sequences, kin: np.ndarray) -> None:
        """Keeps what contexts are drawn from."""
        np.savez(folder / _FILE, offsets=sequences.offsets, items=sequences.items, kin=kin)

    def as_of(self, user_ids: Sequence[str], moments: Sequence[int]) -> list[FeatureRow]:
        """One row a user, whatever the moment."""
        return [self._row(user_id) for user_id in user_ids]

    def _row(self, user_id: str) -> FeatureRow:
        number = int(user_id)
        rng = np.random.default_rng(number)
        real = number % (len(self._offsets) - 1)
        own = self._items[self._offsets[real] : self._offsets[real + 1]] - 1
        own = own[: int(rng.integers(min(_FEWEST, len(own)), len(own) + 1))]
        width = self._starts[own + 1] - self._starts[own]
        drawn = self._by_kin[self._starts[own] + (rng.random(len(own)) * width).astype(np.int64)]
        ids = [self._vocabulary[column] for column in drawn]
        times = tuple(START + n * _SECOND for n in range(len(ids)))
        last = dict(zip(ids, times, strict=True))
        seen = tuple(dict.fromkeys(ids))
        counts = {item: 0 for item in seen}
        for item in ids:
            counts[item] += 1
        return FeatureRow(
            user_id=user_id,
            history_items=tuple(ids[-HISTORY_LENGTH:]),
            history_times=times[-HISTORY_LENGTH:],
            history_values=(1.0,) * min(len(ids), HISTORY_LENGTH),
            seen_items=seen,
            seen_counts=tuple(counts.values()),
            seen_last=tuple(last[item] for item in seen),
            event_count=len(ids),
            present=True,
        )
