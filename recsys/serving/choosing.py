"""Which items a request may be answered with: filters and availability as flags, and the reason when few are left."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence

import numpy as np

from recsys import columns
from recsys.data.conditions import Condition, ConditionError, all_of
from recsys.serving.items import Items, ItemSource
from recsys.serving.ports import ServedModel
from recsys.serving.problems import InvalidField, InvalidRequestError
from recsys.serving.requests import Filter, RecommendationRequest

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
        self._flags: OrderedDict[tuple[tuple[Condition, ...], int], tuple[frozenset[str], np.ndarray]] = OrderedDict()

    def allowed(self, filters: Sequence[Filter], model: ServedModel) -> np.ndarray | None:
        """(n_items,) bool in the model's order; None where everything may be recommended.

        Raises:
            InvalidRequestError: a filter does not fit the workspace's item columns.
        """
        items = self.items.current()
        if not filters and not items.unavailable:
            return None
        conditions = tuple(one.condition() for one in filters)
        found = self._remembered(conditions, items, model)
        if found is None:
            found = _flags(conditions, items, model)
            self._remember(conditions, items, model, found)
        return found

    def _remembered(self, conditions: tuple[Condition, ...], items: Items, model: ServedModel) -> np.ndarray | None:
        """Flags hold for one state of the catalogue and one model's order of items, which its vocabulary stands for."""
        key = (conditions, id(model.vocabulary))
        with self._lock:
            vocabulary, flags = self._flags.get(key, (None, None))
            if self._made_for is not items or vocabulary is not model.vocabulary:
                return None
            self._flags.move_to_end(key)
            return flags

    def _remember(self, conditions: tuple[Condition, ...], items: Items, model: ServedModel, flags: np.ndarray) -> None:
        with self._lock:
            if self._made_for is not items:
                self._flags.clear()
                self._made_for = items
            self._flags[conditions, id(model.vocabulary)] = (model.vocabulary, flags)
            if len(self._flags) > _KEPT:
                self._flags.popitem(last=False)


def shortfall(request: RecommendationRequest, found: int, asked: int, allowed: np.ndarray | None) -> str | None:
    """Why there are fewer items than asked for; None when there are as many."""
    if found == asked:
        return None
    if request.filters and allowed is not None and not allowed.any():
        return "No item that is available meets all filters."
    taken = ["the user's seen items", "exclude_items"]
    taken += ["what is not in include_only"] if request.include_only is not None else []
    taken += ["what filters and availability rule out"] if allowed is not None else []
    left = "No item is" if found == 0 else f"Only {found} items are"
    return f"{left} left after {', '.join(taken[:-1])} and {taken[-1]} were taken out."


def _flags(conditions: tuple[Condition, ...], items: Items, model: ServedModel) -> np.ndarray:
    """Without a condition an item that the catalogue lacks may come: the model knows it from its events."""
    available = ~model.ranker.flags(sorted(items.unavailable))
    if not conditions:
        return available
    for n, condition in enumerate(conditions):
        try:
            condition.expression(items.schema)
        except ConditionError as error:
            raise InvalidRequestError(InvalidField(("filters", n, error.part), str(error))) from error
    met = items.frame.filter(all_of(conditions, items.schema))[columns.ITEM_ID].to_list()
    flags: np.ndarray = model.ranker.flags(met) & available
    return flags
