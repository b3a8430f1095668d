"""What came after recommendations: events with the request that they answer. Training and features never ask for it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from recsys.columns import EVENT, ITEM_ID, LOG_SEQUENCE, OCCURRED_AT, REQUEST_ID, USER_ID, VALUE
from recsys.events.asking import asked
from recsys.events.database import Database

OUTCOME_SCHEMA = pl.Schema(
    {
        USER_ID: pl.String(),
        ITEM_ID: pl.String(),
        OCCURRED_AT: pl.Int64(),
        EVENT: pl.String(),
        VALUE: pl.Float32(),
        REQUEST_ID: pl.String(),
    }
)
_ANSWERS = pl.Schema({LOG_SEQUENCE: pl.Int64(), REQUEST_ID: pl.String()})


class Outcomes:
    """The same log as `EventLog`'s, read for what its events answer.

    Args:
        path: the event log's file.
    """

    def __init__(self, path: Path) -> None:
        self._database = Database(path)

    def since(self, moment: int) -> pl.DataFrame:
        """Events that came in from a moment on, in the log's order; columns and types of OUTCOME_SCHEMA.

        Args:
            moment: microseconds since the epoch.
        """
        query = f"SELECT {', '.join(OUTCOME_SCHEMA)} FROM events WHERE received_at >= ? ORDER BY log_sequence"
        rows = self._database.connection().execute(query, [moment]).fetchall()
        return pl.DataFrame(rows, schema=OUTCOME_SCHEMA, orient="row")

    def answers(self, user_ids: Sequence[str]) -> pl.DataFrame:
        """Which of these users' events name a request: log_sequence, request_id."""
        query = (
            "SELECT log_sequence, request_id FROM events WHERE request_id NOT NULL "
            "AND user_id IN (SELECT value FROM json_each(?)) ORDER BY log_sequence"
        )
        rows = self._database.connection().execute(query, [asked(user_ids)]).fetchall()
        return pl.DataFrame(rows, schema=_ANSWERS, orient="row")

    def close(self) -> None:
        """Closes the calling thread's connection; the next call opens another."""
        self._database.close()
