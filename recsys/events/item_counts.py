"""How many events of its item the log held up to an event's own time, counted when the event is acknowledged.

The number is kept with the event: no later, late or deleted event changes it. It counts events of every kind, because
the log does not know what an event means.
"""

from __future__ import annotations

import sqlite3

import numpy as np
import numpy.typing as npt
import orjson
import polars as pl

from recsys.columns import ITEM_EVENTS_BEFORE, ITEM_ID, LOG_SEQUENCE, OCCURRED_AT

_TOTALS = (
    "SELECT item_id, events FROM item_counts WHERE item_id IN (SELECT json_extract(value, '$[0]') FROM json_each(?))"
)
_LATER = """
SELECT events.item_id, events.occurred_at FROM json_each(?) AS asked
JOIN events ON events.item_id = json_extract(asked.value, '$[0]')
AND events.occurred_at > json_extract(asked.value, '$[1]') ORDER BY events.log_sequence
"""
_ADD = """
INSERT INTO item_counts (item_id, events) VALUES (?, ?)
ON CONFLICT (item_id) DO UPDATE SET events = events + excluded.events
"""
_NUMBER = "number"


def with_item_events_before(connection: sqlite3.Connection, rows: pl.DataFrame) -> pl.DataFrame:
    """Adds `item_events_before` to events that are about to be appended, and counts them in.

    Args:
        connection: inside the appending transaction.
        rows: item_id and occurred_at among their columns, in the order in which they are appended.

    Returns:
        The rows; `item_events_before` is the number of events of the same item that come before in the log and did
        not happen later. Only what happened after the oldest of the new events is read.
    """
    if rows.is_empty():
        return rows.with_columns(pl.lit(0, dtype=pl.Int64).alias(ITEM_EVENTS_BEFORE))
    items = rows.group_by(ITEM_ID).agg(pl.col(OCCURRED_AT).min(), pl.len().alias(_NUMBER))
    asked = orjson.dumps(items.select(ITEM_ID, OCCURRED_AT).rows()).decode()
    types = {ITEM_ID: pl.String, OCCURRED_AT: pl.Int64}
    later = pl.DataFrame(connection.execute(_LATER, [asked]).fetchall(), schema=types, orient="row")
    known = dict(connection.execute(_TOTALS, [asked]).fetchall())
    for item_id, number in later.group_by(ITEM_ID).len().iter_rows():
        known[item_id] -= number
    together = pl.concat([later, rows.select(ITEM_ID, OCCURRED_AT)])
    counts = events_before(together[ITEM_ID], together[OCCURRED_AT])[later.height :]
    earlier = rows[ITEM_ID].replace_strict(list(known), list(known.values()), default=0, return_dtype=pl.Int64)
    connection.executemany(_ADD, items.select(ITEM_ID, _NUMBER).iter_rows())
    return rows.with_columns((earlier + pl.Series(counts)).alias(ITEM_EVENTS_BEFORE))


def count_anew(connection: sqlite3.Connection) -> None:
    """Counts for every event in the log, as if all were appended again in their order; inside a transaction."""
    types = {LOG_SEQUENCE: pl.Int64, ITEM_ID: pl.String, OCCURRED_AT: pl.Int64}
    query = f"SELECT {', '.join(types)} FROM events ORDER BY log_sequence"
    events = pl.DataFrame(connection.execute(query).fetchall(), schema=types, orient="row")
    counts = events_before(events[ITEM_ID], events[OCCURRED_AT])
    counted = events.select(pl.Series(ITEM_EVENTS_BEFORE, counts), LOG_SEQUENCE)
    connection.executemany("UPDATE events SET item_events_before = ? WHERE log_sequence = ?", counted.iter_rows())
    connection.execute("DELETE FROM item_counts")
    connection.execute("INSERT INTO item_counts SELECT item_id, count(*) FROM events GROUP BY item_id")


def events_before(item_ids: pl.Series, occurred_at: pl.Series) -> npt.NDArray[np.int64]:
    """How many events of the same item stand before each event and did not happen later.

    Args:
        item_ids: (events,) in the order of the log.
        occurred_at: (events,) microseconds.

    Returns:
        (events,) int64.
    """
    items = item_ids.rank("dense").cast(pl.Int64).fill_null(0).to_numpy()
    by_time = np.lexsort((occurred_at.to_numpy(), items))  # stable: ties in time keep the log's order
    places = np.empty_like(by_time)
    places[by_time] = np.arange(len(by_time))
    by_item = np.argsort(items, kind="stable")
    starts = np.searchsorted(items[by_item], items)  # events of smaller items stand before and below: not counted
    counts = np.empty_like(by_time)
    counts[by_item] = _smaller_before(places[by_item])
    return counts - starts


def _smaller_before(values: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """(n,) how many smaller values stand before each one of a permutation of 0..n-1.

    Sorts by one binary digit after another, from the highest. Two values part where their digits first differ; then
    the larger one counts the smaller ones of its group that stand before it.
    """
    index = np.arange(len(values))
    if np.array_equal(values, index):  # events mostly arrive in the order in which they happened
        return index
    ordered, counts = values, np.zeros_like(values)
    for bit in reversed(range(len(values).bit_length())):
        group = ordered >> (bit + 1)
        large = (ordered >> bit & 1).astype(np.bool_)
        small_before = np.cumsum(~large) - ~large - (group << bit)  # every group before holds 2**bit small ones
        counts = counts + large * small_before
        large_before = index - (group << (bit + 1)) - small_before
        target = ((ordered >> bit) << bit) + np.where(large, large_before, small_before)
        moved, moved_counts = np.empty_like(ordered), np.empty_like(counts)
        moved[target], moved_counts[target] = ordered, counts
        ordered, counts = moved, moved_counts
    found: npt.NDArray[np.int64] = counts[values]
    return found
