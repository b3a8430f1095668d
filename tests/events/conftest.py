"""Canonical events by hand."""

from __future__ import annotations

import polars as pl
import pytest

from recsys.data.canonical import with_event_ids


@pytest.fixture
def canonical():
    """Makes canonical events out of (user, item, time) or (user, item, time, event, value)."""

    def make(*rows):
        full = [(*row, None, 1.0)[:5] if len(row) == 3 else row for row in rows]
        frame = pl.DataFrame(
            full,
            schema={
                "user_id": pl.String,
                "item_id": pl.String,
                "occurred_at": pl.Int64,
                "event": pl.String,
                "value": pl.Float32,
            },
            orient="row",
        )
        return with_event_ids(frame)

    return make
