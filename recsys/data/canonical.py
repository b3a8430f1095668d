"""The canonical event frame that every source of events is brought into before it reaches the log."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime

import polars as pl

from recsys.columns import EVENT, EVENT_ID, ITEM_ID, OCCURRED_AT, REQUEST_ID, USER_ID, VALUE

MICROSECONDS = 1_000_000

#: When an event happened that has a position but no time: this moment plus `position` seconds.
CLOCKLESS_START = int(datetime(2000, 1, 1, tzinfo=UTC).timestamp()) * MICROSECONDS

EVENT_SCHEMA = pl.Schema(
    {
        EVENT_ID: pl.String(),
        USER_ID: pl.String(),
        ITEM_ID: pl.String(),
        OCCURRED_AT: pl.Int64(),
        EVENT: pl.String(),
        VALUE: pl.Float32(),
    }
)

#: What a frame of events may have beside EVENT_SCHEMA: the request that an event answers, null where it answers none.
OPTIONAL_SCHEMA = pl.Schema({REQUEST_ID: pl.String()})

_CONTENT = (USER_ID, ITEM_ID, OCCURRED_AT, EVENT, VALUE)


def with_event_ids(frame: pl.DataFrame) -> pl.DataFrame:
    """Adds the id that follows from a row's content, so that the same row always gets the same id.

    Args:
        frame: user_id, item_id, occurred_at, event, value in canonical types, and what it has of OPTIONAL_SCHEMA.

    Returns:
        The frame with the columns of EVENT_SCHEMA, in order, and the optional ones after them. Equal rows get equal
        ids, other rows other ids (BLAKE2b, 128 bits, over an unambiguous text of the row without the optional ones).
    """
    sized = [
        pl.concat_str(pl.col(name).str.len_bytes().cast(pl.String), pl.lit(":"), pl.col(name))
        for name in (USER_ID, ITEM_ID)
    ]
    content = frame.select(
        pl.concat_str(
            *sized,
            pl.col(OCCURRED_AT).cast(pl.String),
            pl.col(VALUE).cast(pl.String).fill_null("-"),
            pl.col(EVENT).fill_null(""),
            pl.col(EVENT).is_null().cast(pl.Int8).cast(pl.String),
            separator="|",
        )
    ).to_series()
    ids = [hashlib.blake2b(text.encode(), digest_size=16).hexdigest() for text in content]
    optional = [name for name in OPTIONAL_SCHEMA if name in frame.columns]
    return frame.with_columns(pl.Series(EVENT_ID, ids, dtype=pl.String)).select(*EVENT_SCHEMA, *optional)


def drop_duplicates(frame: pl.DataFrame) -> pl.DataFrame:
    """The first of equal rows (same user, item, time, event and value), in the frame's order."""
    return frame.unique(subset=_CONTENT, keep="first", maintain_order=True)
