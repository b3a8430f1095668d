"""Remembers which items met what was asked for last. It knows no filters."""

from __future__ import annotations

import threading
from collections import OrderedDict

import numpy as np


class KeptFlags:
    """Flags by what they answer, as long as what they were made from is the same object.

    Args:
        most: how many are kept; those found last stay.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._made_from: object = None
        self._flags: OrderedDict[tuple[bytes, int], tuple[frozenset[str], np.ndarray]] = OrderedDict()

    def find(self, asked: bytes, made_from: object, vocabulary: frozenset[str]) -> np.ndarray | None:
        """(n_items,) bool in the order of the model whose vocabulary it is; None where nothing is kept."""
        with self._lock:
            key = (asked, id(vocabulary))
            own, flags = self._flags.get(key, (None, None))
            if self._made_from is not made_from or own is not vocabulary:
                return None
            self._flags.move_to_end(key)
            return flags

    def keep(self, asked: bytes, made_from: object, vocabulary: frozenset[str], flags: np.ndarray) -> None:
        """Keeps them; what was made from anything else goes."""
        with self._lock:
            if self._made_from is not made_from:
                self._flags.clear()
                self._made_from = made_from
            self._flags[asked, id(vocabulary)] = (vocabulary, flags)
            if len(self._flags) > self._most:
                self._flags.popitem(last=False)
