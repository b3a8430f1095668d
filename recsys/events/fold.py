"""The one fold from slices of the log to feature rows, for batch and live alike. It knows nothing of feature stores.

Feature rows hold a user's own ids and times; profile columns are joined in by the caller, and
`recsys.context` turns a row into what the model reads.
"""

from __future__ import annotations

import polars as pl

from recsys.columns import (
    EFFECTIVE_AT,
    EVENT_COUNT,
    FIRST_EVENT_AT,
    HISTORY_ITEMS,
    HISTORY_TIMES,
    HISTORY_VALUES,
    ITEM_EVENTS_BEFORE,
    ITEM_ID,
    LAST_EVENT_AT,
    LOG_SEQUENCE,
    OCCURRED_AT,
    SEEN_COUNTS,
    SEEN_ITEMS,
    SEEN_LAST,
    USER_ID,
    VALUE,
)
from recsys.data.categories import ItemCategories
from recsys.data.schema import WorkspaceSchema
from recsys.events.derived import DERIVED_COLUMNS, activity, popularity, with_affinities
from recsys.events.ordering import COUNTED, TOUCHED, ordered, positions_back

__all__ = ["FOLD_SCHEMA", "HISTORY_LENGTH", "fold", "positions_back"]

HISTORY_LENGTH = 200

FOLD_SCHEMA = pl.Schema(
    {
        USER_ID: pl.String(),
        HISTORY_ITEMS: pl.List(pl.String()),
        HISTORY_TIMES: pl.List(pl.Int64()),
        HISTORY_VALUES: pl.List(pl.Float32()),
        SEEN_ITEMS: pl.List(pl.String()),
        SEEN_COUNTS: pl.List(pl.Int64()),
        SEEN_LAST: pl.List(pl.Int64()),
        EVENT_COUNT: pl.Int64(),
        FIRST_EVENT_AT: pl.Int64(),
        LAST_EVENT_AT: pl.Int64(),
        LOG_SEQUENCE: pl.Int64(),
        EFFECTIVE_AT: pl.Int64(),
        **DERIVED_COLUMNS,
    }
)


def fold(
    events: pl.DataFrame,
    schema: WorkspaceSchema,
    categories: ItemCategories | None = None,
    *,
    before: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """Feature rows out of slices of the log, one row a user.

    Args:
        events: whole slices of the users concerned (see `EventLog.read`), in any order.
        schema: the workspace's schema.
        categories: what the catalogue says of items; None: nothing, so that the rows hold no affinities.
        before: user_id, effective_at: keep only a user's events strictly before that moment; the result then holds
            the users named here that have events. None: keep everything.

    Returns:
        One row a user, sorted by user_id, columns and types of FOLD_SCHEMA. History: the last 200 positive events,
        oldest first; seen: every item touched, positive or negative, by first touch, and beside each how many positive
        events it had and when the last of them was (0 and 0 without one); event_count, first_event_at and last_event_at
        speak of positive events (0 when there is none); log_sequence is the newest event folded in
        (0: none); effective_at is that of the user's last event folded in, or one microsecond before the first event
        of all when `before` leaves none. The rest is made of the history by `derived`.
    """
    frame = ordered(events, schema)
    kept = pl.lit(True)
    if before is not None:
        limit = before.select(pl.col(USER_ID), pl.col(EFFECTIVE_AT).alias("limit"))
        frame = frame.join(limit, on=USER_ID, how="inner", maintain_order="left")
        kept = pl.col(EFFECTIVE_AT) < pl.col("limit")
    counted = pl.col(COUNTED) & kept
    times = pl.col(OCCURRED_AT).filter(counted)
    rows = frame.group_by(USER_ID, maintain_order=True).agg(
        pl.col(ITEM_ID).filter(counted).tail(HISTORY_LENGTH).alias(HISTORY_ITEMS),
        times.tail(HISTORY_LENGTH).alias(HISTORY_TIMES),
        pl.col(VALUE).filter(counted).tail(HISTORY_LENGTH).alias(HISTORY_VALUES),
        counted.sum().cast(pl.Int64).alias(EVENT_COUNT),
        times.first().fill_null(0).alias(FIRST_EVENT_AT),
        times.last().fill_null(0).alias(LAST_EVENT_AT),
        pl.col(LOG_SEQUENCE).filter(kept).max().fill_null(0).alias(LOG_SEQUENCE),
        pl.col(EFFECTIVE_AT).filter(kept).last().fill_null(pl.col(EFFECTIVE_AT).first() - 1).alias(EFFECTIVE_AT),
        *activity(times, clock=schema.clock),
        *popularity(pl.col(ITEM_EVENTS_BEFORE).filter(counted).tail(HISTORY_LENGTH)),
    )
    seen = _seen(frame.filter(pl.col(TOUCHED) & kept))
    lists = (SEEN_ITEMS, SEEN_COUNTS, SEEN_LAST)
    untouched = [pl.col(name).fill_null(pl.lit([], dtype=FOLD_SCHEMA[name])) for name in lists]
    joined = rows.join(seen, on=USER_ID, how="left", maintain_order="left")
    return with_affinities(joined.with_columns(untouched), categories or ItemCategories.none()).select(
        FOLD_SCHEMA.names()
    )


def _seen(touched: pl.DataFrame) -> pl.DataFrame:
    """One row a user: the items touched, by first touch, each with its positive events and the time of their last."""
    items = touched.group_by(USER_ID, ITEM_ID, maintain_order=True).agg(
        pl.col(COUNTED).sum().cast(pl.Int64).alias(SEEN_COUNTS),
        pl.col(OCCURRED_AT).filter(COUNTED).last().fill_null(0).alias(SEEN_LAST),
    )
    return items.group_by(USER_ID, maintain_order=True).agg(
        pl.col(ITEM_ID).alias(SEEN_ITEMS), pl.col(SEEN_COUNTS), pl.col(SEEN_LAST)
    )
