"""Which items a request may be answered with: filters and availability as flags, and the reason when few are left."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

from recsys import columns
from recsys.data.conditions import Condition, ConditionError, all_of
from recsys.serving.answers.kept_flags import KeptFlags
from recsys.serving.folder.items import Described, Items, ItemSource
from recsys.serving.http.problems import InvalidField, InvalidRequestError
from recsys.serving.messages.requests import Filter, RecommendationRequest
from recsys.serving.ports import ServedModel

_KEPT = 64
_MODELS = 4
"""Availability has flags of its own for each of so many models."""
_FEW_ITEMS = 10_000
"""So many are scored within milliseconds, whichever they are."""
_FEW_VALUES = 100
_EVERYBODY = b""


class Choice:
    """What may be recommended, remembered for the filters asked for last.

    Args:
        items: what is known of items now.
    """

    def __init__(self, items: ItemSource) -> None:
        self.items = items
        self._met = KeptFlags(_KEPT)
        self._available = KeptFlags(_MODELS)

    def allowed(self, filters: Sequence[Filter], model: ServedModel, items: Items) -> np.ndarray | None:
        """(n_items,) bool in the model's order; None where everything may be recommended.

        Raises:
            InvalidRequestError: a filter does not fit the workspace's item columns.
        """
        met, shown = None, self._shown(items, model) if items.unavailable else None
        if filters:
            conditions = tuple(one.condition() for one in filters)
            asked = _digest(conditions)
            met = self._met.find(asked, items.described, model.vocabulary)
            if met is None:
                met = _met(conditions, items.described, model)
                self._met.keep(asked, items.described, model.vocabulary, met)
        return _both(met, shown)

    def is_quick(self, filters: Sequence[Filter], model: ServedModel, items: Items) -> bool:
        """Whether it is remembered what may be recommended, and ranking it takes milliseconds.

        A large catalogue is searched in little time for what most items are, and few items are scored in little time;
        whatever lies between may mean that a good part of it is scored.
        """
        if sum(len(one.value) if isinstance(one.value, list) else 1 for one in filters) > _FEW_VALUES:
            return False
        met = shown = None
        if items.unavailable:
            shown = self._available.find(_EVERYBODY, items.unavailable, model.vocabulary)
        if filters:
            asked = _digest(tuple(one.condition() for one in filters))
            met = self._met.find(asked, items.described, model.vocabulary)
        if (items.unavailable and shown is None) or (filters and met is None):
            return False
        allowed = _both(met, shown)
        left = None if allowed is None else int(np.count_nonzero(allowed))
        return left is None or left <= _FEW_ITEMS or 2 * left >= len(model.vocabulary)

    def _shown(self, items: Items, model: ServedModel) -> np.ndarray:
        """(n_items,) bool, which are available."""
        found = self._available.find(_EVERYBODY, items.unavailable, model.vocabulary)
        if found is None:
            found = ~model.ranker.flags([*items.unavailable])
            self._available.keep(_EVERYBODY, items.unavailable, model.vocabulary, found)
        return found


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


def _both(met: np.ndarray | None, shown: np.ndarray | None) -> np.ndarray | None:
    if met is None or shown is None:
        return shown if met is None else met
    both: np.ndarray = met & shown
    return both


def _digest(conditions: tuple[Condition, ...]) -> bytes:
    """Filters may hold megabytes of values; what is kept of them is this."""
    return hashlib.sha256(repr(conditions).encode()).digest()


def _met(conditions: tuple[Condition, ...], described: Described, model: ServedModel) -> np.ndarray:
    try:
        asked = all_of(conditions, described.schema)
    except ConditionError as error:
        raise InvalidRequestError(InvalidField(("filters", error.number, error.part), str(error))) from error
    met = described.frame.filter(asked)[columns.ITEM_ID].to_list()
    flags: np.ndarray = model.ranker.flags(met)
    return flags
