"""The order of a user's events: what counts, in which order, and a moment for each that no other event shares.

Ties in time are the rule in real data, so every event gets an `effective_at` that is strictly increasing per user.
"""

from __future__ import annotations

import polars as pl

from recsys.columns import EFFECTIVE_AT, ITEM_EVENTS_BEFORE, ITEM_ID, LOG_SEQUENCE, OCCURRED_AT, USER_ID, VALUE
from recsys.data.schema import WorkspaceSchema

COUNTED = "counted"
TOUCHED = "touched"

INTERACTION_SCHEMA = pl.Schema(
    {
        USER_ID: pl.String(),
        ITEM_ID: pl.String(),
        OCCURRED_AT: pl.Int64(),
        EFFECTIVE_AT: pl.Int64(),
        LOG_SEQUENCE: pl.Int64(),
        VALUE: pl.Float32(),
    }
)


def ordered(events: pl.DataFrame, schema: WorkspaceSchema) -> pl.DataFrame:
    """Every event of the slice in its user's order, with what it counts as.

    `effective_at` of a user's n-th event is max(occurred_at, effective_at of the one before + 1), computed as
    n + running maximum of (occurred_at - n).

    Args:
        events: rows of the log (see `EventLog.read`), in any order.
        schema: says which events are positive or negative, and whether items repeat.

    Returns:
        user_id, item_id, occurred_at, effective_at, log_sequence, value (the event's weight, Float32),
        item_events_before, `counted` (a positive event; without repeats only the first of its user and item) and
        `touched` (positive or negative), sorted by user_id, occurred_at, log_sequence.
    """
    meaning = schema.events
    positive = meaning.is_positive()
    first = pl.struct(USER_ID, ITEM_ID, COUNTED).is_first_distinct()
    number = pl.int_range(pl.len(), dtype=pl.Int64)
    effective = ((pl.col(OCCURRED_AT) - number).cum_max() + number).over(USER_ID)
    frame = events.sort(USER_ID, OCCURRED_AT, LOG_SEQUENCE).select(
        pl.col(USER_ID),
        pl.col(ITEM_ID),
        pl.col(OCCURRED_AT),
        effective.alias(EFFECTIVE_AT),
        pl.col(LOG_SEQUENCE),
        meaning.weight().alias(VALUE),
        pl.col(ITEM_EVENTS_BEFORE),
        positive.alias(COUNTED),
        (positive | meaning.is_negative()).alias(TOUCHED),
    )
    return frame if schema.repeats else frame.with_columns(pl.col(COUNTED) & first)


def interactions(events: pl.DataFrame, schema: WorkspaceSchema) -> pl.DataFrame:
    """The positive events in order: what training, evaluation and histories are made of.

    Args:
        events: rows of the log, in any order.
        schema: the workspace's schema; where items do not repeat only a user's first event with an item is kept.

    Returns:
        user_id, item_id, occurred_at, effective_at, log_sequence, value (the event's weight), sorted by user_id and
        the user's order. `effective_at` is strictly increasing per user.
    """
    return ordered(events, schema).filter(COUNTED).select(INTERACTION_SCHEMA.names())


def positions_back(interactions: pl.DataFrame, back: int) -> pl.DataFrame:
    """Each user's back-th last interaction; users with fewer are left out.

    Args:
        interactions: as `interactions` returns them.
        back: 1 for the last one.

    Returns:
        user_id, item_id, effective_at: one row a user, sorted by user_id.
    """
    if back < 1:
        raise ValueError(f"back counts from 1 (the last interaction), got {back}")
    from_end = pl.int_range(pl.len(), 0, -1, dtype=pl.Int64).over(USER_ID)
    return interactions.filter(from_end == back).select(USER_ID, ITEM_ID, EFFECTIVE_AT)
