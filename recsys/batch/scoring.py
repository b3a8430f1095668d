"""One partition of users → a frame of recommendations. Pure: contexts and a ranker in, rows out; no Ray, no files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import polars as pl

from recsys import columns
from recsys.batch.sink import OUTPUT_SCHEMA
from recsys.context.batch import FeatureRow
from recsys.context.moments import believable
from recsys.context.reasons import FUTURE_EVENT

SCORED_AT_ONCE = 256


class RankedItems(Protocol):
    """One user's answer, best first; both tuples have the same length."""

    @property
    def item_ids(self) -> tuple[str, ...]: ...

    @property
    def scores(self) -> tuple[float, ...]: ...


class Ranker(Protocol):
    """What scores: `recsys.ranking.recommender.Recommender`."""

    @property
    def version(self) -> str: ...

    def recommend(
        self, rows: Sequence[FeatureRow], k: int = 10, *, allowed: np.ndarray | None = None
    ) -> Sequence[RankedItems]:
        """One ranking a row, seen items left out where items do not repeat."""
        ...

    def flags(self, item_ids: Sequence[str]) -> np.ndarray:
        """(n_items,) bool in the order of `allowed`: True at these items."""
        ...


class PastContexts(Protocol):
    """Contexts as of moments: `recsys.context.reader.ContextReader`."""

    def as_of(self, user_ids: Sequence[str], moments: Sequence[int]) -> Sequence[FeatureRow]: ...


@dataclass(frozen=True, slots=True)
class Scored:
    """A partition's recommendations.

    Attributes:
        frame: columns and types of OUTPUT_SCHEMA, users in the order asked.
        unknown_users: how many users nothing is known of; they get what suits everybody.
        future_users: how many users have events that lie in the future; these are left out, as the service does.
    """

    frame: pl.DataFrame
    unknown_users: int
    future_users: int


def score_users(
    user_ids: Sequence[str],
    contexts: PastContexts,
    ranker: Ranker,
    *,
    k: int,
    as_of: int,
    latest: int | None,
    unavailable: Sequence[str] = (),
) -> Scored:
    """Recommends for every user as of one moment.

    Args:
        user_ids: at least one.
        contexts: where feature rows come from.
        ranker: what scores them.
        k: items a user; a user with fewer left gets fewer rows.
        as_of: effective moment, int64 microseconds.
        latest: the latest moment at which an event can have happened; None where events have no clock.
        unavailable: items that must not be recommended; those that the model does not know are ignored.
    """
    rows = contexts.as_of(user_ids, [as_of] * len(user_ids))
    if latest is not None:
        rows = [row if row.degraded else believable(row, latest) for row in rows]
    blocks = [rows[start : start + SCORED_AT_ONCE] for start in range(0, len(rows), SCORED_AT_ONCE)]
    allowed = ~ranker.flags(unavailable) if unavailable else None
    rankings = [ranking for block in blocks for ranking in ranker.recommend(block, k=k, allowed=allowed)]
    frame = (
        pl.DataFrame(
            {
                columns.USER_ID: list(user_ids),
                columns.ITEM_ID: [list(ranking.item_ids) for ranking in rankings],
                columns.SCORE: [list(ranking.scores) for ranking in rankings],
            },
            schema={
                columns.USER_ID: pl.String(),
                columns.ITEM_ID: pl.List(pl.String()),
                columns.SCORE: pl.List(pl.Float32()),
            },
        )
        .with_columns(pl.int_ranges(1, pl.col(columns.ITEM_ID).list.len() + 1, dtype=pl.Int32).alias(columns.RANK))
        .filter(pl.col(columns.ITEM_ID).list.len() > 0)
        .explode(columns.RANK, columns.ITEM_ID, columns.SCORE)
        .with_columns(
            pl.lit(ranker.version).alias(columns.MODEL_VERSION),
            pl.lit(as_of, dtype=pl.Int64).cast(OUTPUT_SCHEMA[columns.AS_OF]).alias(columns.AS_OF),
        )
        .select(OUTPUT_SCHEMA.names())
    )
    return Scored(
        frame=frame,
        unknown_users=sum(not row.present for row in rows),
        future_users=sum(row.degraded == FUTURE_EVENT for row in rows),
    )
