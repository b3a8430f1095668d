"""Which items a request may be answered with: filters and availability as flags, and the reason when few are left."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Sequence

import numpy as np

from recsys import columns
from recsys.data.conditions import Condition, ConditionError, all_of
from recsys.serving.folder.items import Items, ItemSource
from recsys.serving.http.problems import InvalidField, InvalidRequestError
from recsys.serving.messages.requests import Filter, RecommendationRequest
from recsys.serving.ports import ServedModel

_KEPT = 64


class Choice:
    """What may be recommended, remembered for the filters asked for last.

    Args:
        items: what is known of items now.
    """

    def __init__(self, items: ItemSource) -> None:
        self.items = items
        self._lock = threading.Lock()
        self._made_for: Items | None = None
        self._flags: OrderedDict[tuple[bytes, int], tuple[frozenset[str], np.ndarray]] = OrderedDict()

    def allowed(self, filters: Sequence[Filter], model: ServedModel) -> np.ndarray | None:
        """(n_items,) bool in the model's order; None where everything may be recommended.

        Raises:
            InvalidRequestError: a filter does not fit the workspace's item columns.
        """
        items = self.items.current()
        if not filters and not items.unavailable:
            return None
        conditions = tuple(one.condition() for one in filters)
        key = (_digest(conditions), id(model.vocabulary))
        found = self._remembered(key, items, model)
        if found is None:
            found = _flags(conditions, items, model)
            self._remember(key, items, model, found)
        return found

    def _remembered(self, key: tuple[bytes, int], items: Items, model: ServedModel) -> np.ndarray | None:
        """Flags hold for one state of the catalogue and one model's order of items, which its vocabulary stands for."""
        with self._lock:
            vocabulary, flags = self._flags.get(key, (None, None))
            if self._made_for is not items or vocabulary is not model.vocabulary:
                return None
            self._flags.move_to_end(key)
            return flags

    def _remember(self, key: tuple[bytes, int], items: Items, model: ServedModel, flags: np.ndarray) -> None:
        with self._lock:
            if self._made_for is not items:
                self._flags.clear()
                self._made_for = items
            self._flags[key] = (model.vocabulary, flags)
            if len(self._flags) > _KEPT:
                self._flags.popitem(last=False)


def shortfall(
    request: RecommendationRequest, found: int, asked: int, allowed: np.ndarray | None, *, hides_seen: bool
) -> str | None:
    """Why there are fewer items than asked for; None when there are as many.

    Args:
        request: what was asked.
        found: how many items there are.
        asked: how many were asked for.
        allowed: what filters and availability leave; None for everything.
        hides_seen: whether the user has seen items, and these were left out.
    """
    if found == asked:
        return None
    if request.filters and allowed is not None and not allowed.any():
        return "No item that is available meets all filters."
    taken = ["the user's seen items"] if hides_seen else []
    taken += ["exclude_items"] if request.exclude_items else []
    taken += ["what is not in include_only"] if request.include_only is not None else []
    if allowed is not None:
        taken.append("what filters and availability rule out" if request.filters else "what is not available")
    left = {0: "No item is", 1: "Only 1 item is"}.get(found, f"Only {found} items are")
    return f"{left} left after taking out: {', '.join(taken)}."


def _digest(conditions: tuple[Condition, ...]) -> bytes:
    """Filters may hold megabytes of values; what is kept of them is this."""
    return hashlib.sha256(repr(conditions).encode()).digest()


def _flags(conditions: tuple[Condition, ...], items: Items, model: ServedModel) -> np.ndarray:
    """Without a condition an item that the catalogue lacks may come: the model knows it from its events."""
    available = ~model.ranker.flags(sorted(items.unavailable))
    if not conditions:
        return available
    try:
        asked = all_of(conditions, items.schema)
    except ConditionError as error:
        raise InvalidRequestError(InvalidField(("filters", error.number, error.part), str(error))) from error
    met = items.frame.filter(asked)[columns.ITEM_ID].to_list()
    flags: np.ndarray = model.ranker.flags(met) & available
    return flags
