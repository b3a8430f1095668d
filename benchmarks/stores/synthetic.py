"""Synthetic users in a workspace of their own: made in the log, then materialised as a user's data would be."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl

from recsys.context.engine import settings_file
from recsys.data.canonical import EVENT_SCHEMA
from recsys.data.schema import EventMeaning, WorkspaceSchema
from recsys.events.log import EventLog
from recsys.workspace import Workspace

ITEMS = 5_000
START = 1_700_000_000_000_000
_EVENTS_AN_APPEND = 500_000


def make_workspace(home: Path, name: str, settings: str = "") -> tuple[Workspace, WorkspaceSchema]:
    """An empty workspace without profile columns.

    Args:
        home: the folder of workspaces.
        name: of the workspace.
        settings: content of its feature_store.toml; empty: none.
    """
    workspace = Workspace(name=name, home=home)
    schema = WorkspaceSchema(
        name=name, repeats=True, events=EventMeaning(negative=(), weights={}), user_columns={}, item_columns={}
    )
    schema.save(workspace.schema_file)
    if settings:
        settings_file(workspace).write_text(settings)
    return workspace, schema


def user_name(number: int) -> str:
    """A user's id; ids sort as their numbers do."""
    return f"user-{number:08}"


def append_users(log: EventLog, first: int, users: int, events_each: int, seed: int = 0, items: int = ITEMS) -> int:
    """Appends so many events of each of the users first, first + 1, …, in order of time as a real log has them.

    Args:
        log: where to.
        first: number of the first user.
        users: how many.
        events_each: of each.
        seed: of the draw.
        items: how many there are at most; few of them have most of the events.

    Returns:
        How many events.
    """
    for frame in _frames(first, users, events_each, seed, items):
        log.append(frame)
    return users * events_each


def append_distinct(log: EventLog, user_id: str, events: int) -> None:
    """Appends events of one user, each with another item."""
    frame = pl.DataFrame(
        {
            "event_id": [f"{user_id}-{number}" for number in range(events)],
            "user_id": [user_id] * events,
            "item_id": [f"item-{number % ITEMS}" for number in range(events)],
            "occurred_at": [START + number for number in range(events)],
            "event": pl.Series([None] * events, dtype=pl.String),
            "value": [1.0] * events,
        }
    )
    log.append(frame.cast(dict(EVENT_SCHEMA)).select(EVENT_SCHEMA.names()))


def _frames(first: int, users: int, events_each: int, seed: int, items: int) -> Iterator[pl.DataFrame]:
    """Rounds over all users, some rounds a frame: a user's events lie scattered in the log."""
    rng = np.random.default_rng(seed)
    total = users * events_each
    for start in range(0, total, _EVENTS_AN_APPEND):
        numbers = np.arange(start, min(start + _EVENTS_AN_APPEND, total))
        frame = pl.DataFrame(
            {
                "number": numbers,
                "user": first + numbers % users,
                "item": np.minimum(rng.zipf(1.3, len(numbers)) - 1, items - 1),
            }
        )
        yield frame.select(
            pl.format("e{}-{}", pl.lit(first), "number").alias("event_id"),
            pl.format("user-{}", pl.col("user").cast(pl.String).str.zfill(8)).alias("user_id"),
            pl.format("item-{}", "item").alias("item_id"),
            (START + pl.col("number") * 1_000_000).alias("occurred_at"),
            pl.lit(None, dtype=pl.String).alias("event"),
            pl.lit(1.0, dtype=pl.Float32).alias("value"),
        )
