"""Which items a batch may recommend, as plain ids: a changed catalogue shows in them and in the keys."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import orjson


class Flags(Protocol):
    """What knows a model's order of items."""

    def flags(self, item_ids: Sequence[str]) -> np.ndarray:
        """(n_items,) bool in the order of `allowed`: True at these items."""
        ...


@dataclass(frozen=True, slots=True)
class Rules:
    """Which items may be recommended; ids that the model does not know are ignored.

    Attributes:
        excluded: those that must not be, sorted.
        only: those to choose among, sorted; None: everything.
    """

    excluded: tuple[str, ...] = ()
    only: tuple[str, ...] | None = None

    def allowed(self, ranker: Flags) -> np.ndarray | None:
        """(n_items,) bool in the model's order; None where everything may be recommended."""
        if self.only is None and not self.excluded:
            return None
        allowed: np.ndarray = ~ranker.flags(self.excluded)
        return allowed if self.only is None else allowed & ranker.flags(self.only)

    def leave_any_of(self, item_ids: Iterable[str]) -> bool:
        """Whether any of these items may be recommended."""
        excluded, only = set(self.excluded), None if self.only is None else set(self.only)
        return any(item_id not in excluded and (only is None or item_id in only) for item_id in item_ids)

    @property
    def digest(self) -> str:
        """SHA-256 over both lists."""
        return hashlib.sha256(orjson.dumps([self.excluded, self.only])).hexdigest()


ANYTHING = Rules()
