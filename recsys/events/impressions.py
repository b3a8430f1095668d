"""What was recommended to whom: one row a reply, appended in batches, removed with its user to the last byte.

It knows nothing of models and of what an impression led to; `recsys.evaluation.experiments` does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import orjson
import polars as pl

from recsys.columns import (
    ARM,
    CHALLENGER_VERSION,
    CHAMPION_VERSION,
    DEGRADED,
    ITEM_IDS,
    MODEL_VERSION,
    PROPENSITY,
    REQUEST_ID,
    SHOWN_AT,
    SURFACE,
    USER_ID,
)
from recsys.events.asking import asked
from recsys.events.database import Database
from recsys.events.removals import Removals
from recsys.events.shown import SHOWN
from recsys.workspace import Workspace

IMPRESSION_SCHEMA = pl.Schema(
    {
        REQUEST_ID: pl.String(),
        SHOWN_AT: pl.Int64(),
        USER_ID: pl.String(),
        MODEL_VERSION: pl.String(),
        ARM: pl.String(),
        CHAMPION_VERSION: pl.String(),
        CHALLENGER_VERSION: pl.String(),
        PROPENSITY: pl.Float64(),
        ITEM_IDS: pl.List(pl.String()),
        SURFACE: pl.String(),
        DEGRADED: pl.String(),
    }
)
_NAMES = ", ".join(IMPRESSION_SCHEMA)
_INSERT = f"INSERT INTO impressions ({_NAMES}) VALUES ({', '.join('?' * len(IMPRESSION_SCHEMA))})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Impression:
    """One reply as it is kept.

    Attributes:
        request_id: the reply's; events name it.
        shown_at: when it was asked for, microseconds since the epoch.
        user_id: None for a visitor.
        model_version: which version's scores these are.
        item_ids: best first.
        arm: `champion` or `challenger`; None when there was no experiment.
        champion_version: of the experiment.
        challenger_version: of the experiment.
        propensity: the probability with which this user was given this arm.
        surface: where it was shown, as the request said.
        degraded: the reply's reason.
    """

    request_id: str
    shown_at: int
    user_id: str | None
    model_version: str
    item_ids: tuple[str, ...]
    arm: str | None = None
    champion_version: str | None = None
    challenger_version: str | None = None
    propensity: float | None = None
    surface: str | None = None
    degraded: str | None = None

    def _row(self) -> list[object]:
        values = {name: getattr(self, name) for name in IMPRESSION_SCHEMA}
        return [*(values | {ITEM_IDS: orjson.dumps(self.item_ids).decode()}).values()]


class ImpressionLog:
    """One workspace's impressions in one sqlite file. For many threads and processes.

    Args:
        path: the file; made when something is first appended or read.
        event_log: the workspace's log, which knows who was deleted.
    """

    def __init__(self, path: Path, event_log: Path) -> None:
        self.path = path
        self._database = Database(path, SHOWN)
        self._removals = Removals(event_log)

    @classmethod
    def of(cls, workspace: Workspace) -> Self:
        """Those of a workspace."""
        return cls(workspace.impressions, workspace.event_log)

    def append(self, impressions: Sequence[Impression]) -> int:
        """Appends in one transaction; on return they are on the disk.

        Who was deleted is asked inside the transaction: a deletion that comes later finds the rows and removes them.

        Returns:
            How many were kept: none of before their user's deletion.
        """
        with self._database.writing() as connection:
            deleted = self._removals.deleted([*{one.user_id for one in impressions if one.user_id is not None}])
            kept = [one for one in impressions if one.shown_at > deleted.get(one.user_id or "", -1)]
            connection.executemany(_INSERT, (one._row() for one in kept))
        return len(kept)

    def read(self, *, user_id: str | None = None, since: int = 0) -> pl.DataFrame:
        """Impressions in the order in which they were appended; columns and types of IMPRESSION_SCHEMA.

        Args:
            user_id: only this user's; None: everybody's.
            since: only those shown at this moment or later, microseconds since the epoch.
        """
        if not self.path.is_file():
            return pl.DataFrame(schema=IMPRESSION_SCHEMA)
        whose = "" if user_id is None else " AND user_id IN (SELECT value FROM json_each(?))"
        arguments: list[object] = [since] if user_id is None else [since, asked([user_id])]
        query = f"SELECT {_NAMES} FROM impressions WHERE shown_at >= ?{whose} ORDER BY number"
        rows = self._database.connection().execute(query, arguments).fetchall()
        frame = pl.DataFrame(rows, schema={**IMPRESSION_SCHEMA, ITEM_IDS: pl.String()}, orient="row")
        return frame.with_columns(pl.col(ITEM_IDS).str.json_decode(IMPRESSION_SCHEMA[ITEM_IDS]))

    def users(self) -> pl.DataFrame:
        """Everybody who was shown anything: user_id."""
        rows: list[tuple[str]] = []
        if self.path.is_file():
            query = "SELECT DISTINCT user_id FROM impressions WHERE user_id NOT NULL"
            rows = self._database.connection().execute(query).fetchall()
        return pl.DataFrame(rows, schema={USER_ID: pl.String()}, orient="row")

    def remove_users(self, user_ids: Sequence[str]) -> int:
        """Removes these users' impressions, which `scrub` completes; how many went."""
        return self._remove("user_id IN (SELECT value FROM json_each(?))", asked(user_ids))

    def remove_before(self, moment: int) -> int:
        """Removes what was shown before a moment (microseconds), which `scrub` completes; how many went."""
        return self._remove("shown_at < ?", moment)

    def are_done(self) -> bool:
        """Whether every removal is complete, to the last byte."""
        if not self.path.is_file():
            return True
        return self._database.connection().execute("SELECT 1 FROM scrubbing").fetchone() is None

    def scrub(self) -> None:
        """Leaves no byte of what was removed in the file, and notes that this is done; nothing to do is done quickly.

        Raises:
            DataError: readers kept the file busy all the time; the next deletion or pruning completes it.
        """
        if self.are_done():
            return
        self._database.rewrite()
        self._database.empty_write_ahead_log()
        with self._database.writing() as connection:
            connection.execute("DELETE FROM scrubbing")

    def close(self) -> None:
        """Closes the calling thread's connections; the next call opens others."""
        self._database.close()
        self._removals.close()

    def _remove(self, condition: str, argument: object) -> int:
        if not self.path.is_file():
            return 0
        with self._database.writing() as connection:
            removed = connection.execute(f"DELETE FROM impressions WHERE {condition}", [argument]).rowcount
            if removed:
                connection.execute("INSERT OR IGNORE INTO scrubbing VALUES (1)")
        return removed
