"""One partition of users → a frame of recommendations. Pure: contexts and a ranker in, rows out; no Ray, no files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import polars as pl

from recsys import columns
from recsys.batch.formats import OUTPUT_SCHEMA
from recsys.batch.rules import ANYTHING, Flags, Rules
from recsys.context.batch import FeatureRow
from recsys.context.moments import believable
from recsys.context.reasons import FUTURE_EVENT
from recsys.ranking.frames import Ranker, recommended


class VersionedRanker(Ranker, Flags, Protocol):
    """What scores: `recsys.ranking.recommender.Recommender`."""

    @property
    def version(self) -> str: ...


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
    ranker: VersionedRanker,
    *,
    k: int,
    as_of: int,
    latest: int | None,
    rules: Rules = ANYTHING,
) -> Scored:
    """Recommends for every user as of one moment.

    Args:
        user_ids: at least one.
        contexts: where feature rows come from.
        ranker: what scores them.
        k: items a user; a user with fewer left gets fewer rows.
        as_of: effective moment, int64 microseconds.
        latest: the latest moment at which an event can have happened; None where events have no clock.
        rules: which items may be recommended.
    """
    rows = contexts.as_of(user_ids, [as_of] * len(user_ids))
    if latest is not None:
        rows = [row if row.degraded else believable(row, latest) for row in rows]
    frame = recommended(ranker, rows, k, allowed=rules.allowed(ranker)).with_columns(
        pl.lit(ranker.version).alias(columns.MODEL_VERSION),
        pl.lit(as_of, dtype=pl.Int64).cast(OUTPUT_SCHEMA[columns.AS_OF]).alias(columns.AS_OF),
    )
    return Scored(
        frame=frame,
        unknown_users=sum(not row.present for row in rows),
        future_users=sum(row.degraded == FUTURE_EVENT for row in rows),
    )
