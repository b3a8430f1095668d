"""How far a challenger in the shadow agreed with what was shown. Figures alone: no user, no request, no item."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path

import polars as pl

from recsys.columns import CHALLENGER_VERSION, CHAMPION_VERSION
from recsys.events.database import Database
from recsys.events.shown import SHOWN

SHADOW_SCHEMA = pl.Schema(
    {
        "scored_at": pl.Int64(),
        CHAMPION_VERSION: pl.String(),
        CHALLENGER_VERSION: pl.String(),
        "k": pl.Int64(),
        "champion_ms": pl.Float64(),
        "challenger_ms": pl.Float64(),
        "overlap": pl.Float64(),
        "correlation": pl.Float64(),
        "same_first": pl.Int64(),
    }
)


@dataclass(frozen=True, slots=True)
class ShadowScore:
    """One request that the challenger scored as well.

    Attributes:
        scored_at: when it was asked, microseconds since the epoch.
        champion_version: who answered.
        challenger_version: who scored in the shadow.
        k: how many items were asked for.
        champion_ms: what the champion's scoring took.
        challenger_ms: what the challenger's took; None where it failed.
        overlap: share of the items that both lists hold.
        correlation: Kendall's tau over those; None where there are fewer than two.
        same_first: 1 where both put the same item first, else 0.
    """

    scored_at: int
    champion_version: str
    challenger_version: str
    k: int
    champion_ms: float
    challenger_ms: float | None = None
    overlap: float | None = None
    correlation: float | None = None
    same_first: int | None = None


_NAMES = [one.name for one in fields(ShadowScore)]
_INSERT = f"INSERT INTO shadow_scores ({', '.join(_NAMES)}) VALUES ({', '.join('?' * len(_NAMES))})"


class ShadowLog:
    """One workspace's shadow scores, in the file of its impressions.

    Args:
        path: that file; made when something is first appended.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._database = Database(path, SHOWN)

    def append(self, scores: Sequence[ShadowScore]) -> None:
        """Appends in one transaction; on return they are on the disk."""
        with self._database.writing() as connection:
            connection.executemany(_INSERT, map(astuple, scores))

    def read(self) -> pl.DataFrame:
        """All of them in order; columns and types of SHADOW_SCHEMA."""
        if not self.path.is_file():
            return pl.DataFrame(schema=SHADOW_SCHEMA)
        query = f"SELECT {', '.join(SHADOW_SCHEMA)} FROM shadow_scores ORDER BY number"
        return pl.DataFrame(self._database.connection().execute(query).fetchall(), schema=SHADOW_SCHEMA, orient="row")

    def remove_before(self, moment: int) -> None:
        """Removes what was scored before a moment, microseconds since the epoch."""
        if self.path.is_file():
            with self._database.writing() as connection:
                connection.execute("DELETE FROM shadow_scores WHERE scored_at < ?", [moment])
