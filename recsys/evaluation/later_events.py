"""Targets that neither of two trained models was fitted on: the events after both, or those that both held back.

A training knows the log up to its position and holds back each evaluated user's validation and test targets.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import polars as pl

from recsys import columns
from recsys.data.schema import WorkspaceSchema
from recsys.errors import DataError
from recsys.evaluation.next_basket import BasketSplit, next_basket
from recsys.evaluation.protocol import Split, leave_one_out
from recsys.evaluation.target_sets import Target
from recsys.events.ordering import interactions

Source = Literal["later events", "held-back events"]


@dataclass(frozen=True, slots=True)
class UnseenTargets:
    """Who is compared on what.

    Attributes:
        source: where the targets come from.
        user_ids: each user once.
        targets: the item, or the items of the basket, that each took.
        moments: effective moment of each target; contexts hold what lies strictly before it.
    """

    source: Source
    user_ids: tuple[str, ...]
    targets: tuple[Target, ...]
    moments: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.user_ids)

    def sample(self, most: int, seed: int = 0) -> UnseenTargets:
        """At most so many of the users, the same ones every time."""
        if len(self) <= most:
            return self
        return self.take(np.sort(np.random.default_rng(seed).permutation(len(self))[:most]))

    def take(self, places: Sequence[int] | np.ndarray) -> UnseenTargets:
        """The users at these places."""
        chosen = [int(place) for place in places]
        return UnseenTargets(
            self.source,
            tuple(self.user_ids[place] for place in chosen),
            tuple(self.targets[place] for place in chosen),
            tuple(self.moments[place] for place in chosen),
        )


def later_targets(events: pl.DataFrame, schema: WorkspaceSchema, after: int) -> UnseenTargets:
    """Each user's first event, or basket, that was logged after a position and lies behind all that was known there.

    A late event, which happened before one that was known, is no target: a model may have learned from what followed
    it. Nor is the very first event of a newcomer, of whom there is nothing to go by.

    Args:
        events: the whole log, as `EventLog.read` returns it.
        schema: what the events mean.
        after: the later of the two trainings' log positions.
    """
    at, user = pl.col(columns.EFFECTIVE_AT), columns.USER_ID
    known = pl.col(columns.LOG_SEQUENCE) <= after
    ordered = interactions(events, schema).with_columns(
        pl.int_range(pl.len()).over(user).alias("place"), at.filter(known).max().over(user).alias("known_until")
    )
    behind = pl.col("known_until").is_null() | (at > pl.col("known_until"))
    later = ordered.filter(~known & behind)
    if schema.baskets:
        first_basket = pl.col(columns.OCCURRED_AT).rank("dense").over(user) > pl.col("known_until").is_null().cast(int)
        later = later.filter(first_basket)
        later = later.filter(pl.col(columns.OCCURRED_AT) == pl.col(columns.OCCURRED_AT).min().over(user))
        found = later.group_by(user, maintain_order=True).agg(
            pl.col(columns.ITEM_ID).unique(maintain_order=True), at.min()
        )
        items = tuple(tuple(own) for own in found[columns.ITEM_ID].to_list())
    else:
        found = later.filter(pl.col("place") > 0).unique(user, keep="first", maintain_order=True)
        items = tuple(found[columns.ITEM_ID].to_list())
    return UnseenTargets(
        "later events", tuple(found[user].to_list()), items, tuple(found[columns.EFFECTIVE_AT].to_list())
    )


def held_back_targets(events: pl.DataFrame, schema: WorkspaceSchema, positions: tuple[int, int]) -> UnseenTargets:
    """The later training's validation targets, where the earlier training was not fitted on them either.

    Args:
        events: the whole log, as `EventLog.read` returns it.
        schema: what the events mean.
        positions: the two trainings' log positions.
    """
    early, late = sorted(positions)
    found = _validation(events, schema, late)
    if found is None:
        return UnseenTargets("held-back events", (), (), ())
    held = UnseenTargets("held-back events", found.user_ids, tuple(found.target_items), found.moments)
    if early == late:
        return held
    before = _validation(events, schema, early)
    first_held = {} if before is None else dict(zip(before.user_ids, before.moments, strict=True))
    trained = set(events.filter(pl.col(columns.LOG_SEQUENCE) <= early)[columns.USER_ID]) - first_held.keys()
    places = [
        place
        for place, (user_id, moment) in enumerate(zip(held.user_ids, held.moments, strict=True))
        if user_id not in trained and moment >= first_held.get(user_id, moment)
    ]
    return held.take(places)


def _validation(events: pl.DataFrame, schema: WorkspaceSchema, position: int) -> Split | BasketSplit | None:
    ordered = interactions(events.filter(pl.col(columns.LOG_SEQUENCE) <= position), schema)
    try:
        return next_basket(ordered, "validation") if schema.baskets else leave_one_out(ordered, "validation")
    except DataError:
        return None
