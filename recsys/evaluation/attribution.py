"""Which recommendations led to something: impressions joined with the events that came after them.

It knows frames only. An event that names the reply it answers belongs to that one. One that names none belongs, as a
weaker guess, to the last list that its user was shown before, if the item stands in it.
"""

from __future__ import annotations

import polars as pl

from recsys.columns import ITEM_ID, ITEM_IDS, OCCURRED_AT, RANK, REQUEST_ID, SHOWN_AT, USER_ID
from recsys.data.schema import EventMeaning

NUMBER = "number"
NAMED = "named"


def with_outcomes(impressions: pl.DataFrame, events: pl.DataFrame, meaning: EventMeaning, within: int) -> pl.DataFrame:
    """Adds to each impression what it led to.

    Args:
        impressions: columns of IMPRESSION_SCHEMA, everything that these users were shown in that time.
        events: columns of OUTCOME_SCHEMA.
        meaning: which events are positive; others are no outcome.
        within: microseconds after an impression in which an event may be its outcome.

    Returns:
        The impressions, of several answers to the same request of the same user only the last one, with `rank` of the
        best item that was taken, from 1, null where none was, and `named`: whether an event said so itself.
    """
    shown = impressions.unique([REQUEST_ID, USER_ID], keep="last", maintain_order=True).with_row_index(NUMBER)
    taken = events.filter(meaning.is_positive())
    found = pl.concat([_named(shown, taken), _guessed(shown, taken)]).filter(
        pl.col(OCCURRED_AT) <= pl.col(SHOWN_AT) + within
    )
    ranks = pl.int_ranges(1, pl.col(ITEM_IDS).list.len() + 1).alias(RANK)
    places = found.with_columns(ranks).explode(ITEM_IDS, RANK).filter(pl.col(ITEM_IDS) == pl.col(ITEM_ID))
    best = places.group_by(NUMBER).agg(pl.col(RANK).min(), pl.col(NAMED).any())
    return shown.join(best, on=NUMBER, how="left", maintain_order="left").drop(NUMBER)


def _named(shown: pl.DataFrame, taken: pl.DataFrame) -> pl.DataFrame:
    """Events with the impression that they name; a visitor's impression may be answered by whoever logged in since."""
    joined = taken.filter(pl.col(REQUEST_ID).is_not_null()).join(shown, on=REQUEST_ID, suffix="_shown")
    own = joined.filter(pl.col(f"{USER_ID}_shown").is_null() | (pl.col(f"{USER_ID}_shown") == pl.col(USER_ID)))
    return _columns(own, named=True)


def _guessed(shown: pl.DataFrame, taken: pl.DataFrame) -> pl.DataFrame:
    """Events that name nothing with the last impression of their user before them."""
    known = shown.filter(pl.col(USER_ID).is_not_null()).drop(REQUEST_ID).sort(SHOWN_AT)
    silent = taken.filter(pl.col(REQUEST_ID).is_null()).sort(OCCURRED_AT)
    last = silent.join_asof(
        known,
        left_on=OCCURRED_AT,
        right_on=SHOWN_AT,
        by=USER_ID,
        strategy="backward",
        coalesce=False,
        allow_exact_matches=False,
        check_sortedness=False,
    )
    return _columns(last.filter(pl.col(NUMBER).is_not_null()), named=False)


def _columns(joined: pl.DataFrame, *, named: bool) -> pl.DataFrame:
    return joined.select(NUMBER, SHOWN_AT, ITEM_IDS, ITEM_ID, OCCURRED_AT, pl.lit(named).alias(NAMED))
