"""Recommendations from frame to frame: many users' events in, ranked rows out. No store, no Ray, one process.

Contexts come about by the same checks and the same fold as those of the event log, so the same events give the same
rankings as a batch or the service.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol, TypedDict, Unpack

import numpy as np
import polars as pl

from recsys import columns
from recsys.context.batch import FeatureRow
from recsys.context.profile_values import typed_profile
from recsys.data.checks import event_problems, table_problems
from recsys.data.event_rows import canonical_events
from recsys.data.findings import Findings
from recsys.data.ids import canonical_ids
from recsys.data.schema import WorkspaceSchema
from recsys.errors import DataError
from recsys.events.fold import FOLD_SCHEMA, fold
from recsys.events.log import LOG_SCHEMA

SCORED_AT_ONCE = 256
RANKED_SCHEMA = pl.Schema(
    {
        columns.USER_ID: pl.String(),
        columns.RANK: pl.Int32(),
        columns.ITEM_ID: pl.String(),
        columns.SCORE: pl.Float32(),
    }
)
_EVENTS, _PROFILES = "events", "profiles"
_FOLDED = tuple(name for name in FOLD_SCHEMA if name not in (columns.USER_ID, columns.EFFECTIVE_AT))


class Options(TypedDict, total=False):
    """What may be recommended, as `Recommender.recommend` takes it."""

    exclude_seen: bool | None
    exclude_items: Sequence[str]
    include_only: Sequence[str] | None
    allowed: np.ndarray | None
    diversity: float


class RankedItems(Protocol):
    """One user's answer, best first; both tuples have the same length."""

    @property
    def item_ids(self) -> tuple[str, ...]: ...

    @property
    def scores(self) -> tuple[float, ...]: ...


class Ranker(Protocol):
    """What scores: `recsys.ranking.recommender.Recommender`."""

    def recommend(
        self, rows: Sequence[FeatureRow], k: int = 10, **options: Unpack[Options]
    ) -> Sequence[RankedItems]: ...


def recommended(ranker: Ranker, rows: Sequence[FeatureRow], k: int, **options: Unpack[Options]) -> pl.DataFrame:
    """Ranks for each row, some at a time.

    Returns:
        Columns of RANKED_SCHEMA, users in the order of their rows, ranks from 1; nobody gets more than there is.
    """
    blocks = (rows[start : start + SCORED_AT_ONCE] for start in range(0, len(rows), SCORED_AT_ONCE))
    rankings = [ranking for block in blocks for ranking in ranker.recommend(block, k=k, **options)]
    frame = pl.DataFrame(
        {
            columns.USER_ID: [row.user_id for row in rows],
            columns.ITEM_ID: [list(ranking.item_ids) for ranking in rankings],
            columns.SCORE: [list(ranking.scores) for ranking in rankings],
        },
        schema={
            columns.USER_ID: pl.String(),
            columns.ITEM_ID: pl.List(pl.String()),
            columns.SCORE: pl.List(pl.Float32()),
        },
    )
    ranked = frame.with_columns(
        pl.int_ranges(1, pl.col(columns.ITEM_ID).list.len() + 1, dtype=pl.Int32).alias(columns.RANK)
    ).filter(pl.col(columns.ITEM_ID).list.len() > 0)
    return ranked.explode(columns.RANK, columns.ITEM_ID, columns.SCORE).select(RANKED_SCHEMA.names())


def contexts(events: pl.DataFrame, schema: WorkspaceSchema, profiles: pl.DataFrame | None = None) -> list[FeatureRow]:
    """One context a user, out of events of many users and what is known of them besides.

    Args:
        events: user_id, item_id and timestamp (numbers since the epoch, datetimes or ISO 8601 text) or position;
            optionally event and value or rating. Other columns are ignored.
        schema: the workspace's schema.
        profiles: user_id and some of the schema's user columns, one row a user; users without events get a context too.

    Returns:
        In the order in which users first appear, in events and then in profiles.

    Raises:
        DataError: a column is missing, has the wrong type, holds values that no event can have, or does not fit the
            schema; all are listed.
    """
    known = {} if profiles is None else _profiles(profiles, schema)
    folded = {} if events.is_empty() and not event_problems(events) else _folded(events, schema)
    return [
        FeatureRow(
            user_id=user_id,
            present=True,
            profile=known.get(user_id) or dict.fromkeys(schema.user_columns),
            **folded.get(user_id, {}),  # type: ignore[arg-type]
        )
        for user_id in dict.fromkeys((*folded, *known))
    ]


def _folded(events: pl.DataFrame, schema: WorkspaceSchema) -> dict[str, dict[str, object]]:
    """The fold's values by user, in the order in which users first appear."""
    _refuse(_EVENTS, [*event_problems(events), *_unfit(events, schema)])
    findings = Findings()
    canonical = canonical_events(events, _EVENTS, findings)
    odd = [f"{one.rows} {one.what}" for one in findings.treatments if one.done == "dropped"]
    _refuse(_EVENTS, odd or findings.problems)
    log = canonical.with_columns(
        pl.int_range(1, pl.len() + 1, dtype=pl.Int64).alias(columns.LOG_SEQUENCE),
        pl.lit(0, pl.Int64).alias(columns.RECEIVED_AT),
        pl.lit(0, pl.Int64).alias(columns.ITEM_EVENTS_BEFORE),
    ).select(LOG_SCHEMA.names())
    found = {str(row[columns.USER_ID]): dict(_values(row)) for row in fold(log, schema).iter_rows(named=True)}
    return {user_id: found[user_id] for user_id in canonical_ids(events[columns.USER_ID]).unique(maintain_order=True)}


def _unfit(events: pl.DataFrame, schema: WorkspaceSchema) -> Iterator[str]:
    """What makes every event of a well-formed frame mean nothing, or something else than in this workspace."""
    if schema.clock and columns.POSITION in events.columns and columns.TIMESTAMP not in events.columns:
        yield f"this workspace has a clock, so its events need a '{columns.TIMESTAMP}'"
    counted = schema.events.positive
    if counted is not None and columns.EVENT not in events.columns:
        kinds = ", ".join(counted)
        yield f"there is no column '{columns.EVENT}', and in this workspace only events of these kinds count: {kinds}"


def _values(row: dict[str, object]) -> Iterator[tuple[str, object]]:
    for name in _FOLDED:
        value = row[name]
        yield name, tuple(value) if isinstance(value, list) else value


def _profiles(profiles: pl.DataFrame, schema: WorkspaceSchema) -> dict[str, dict[str, object]]:
    problems = table_problems(profiles, columns.USER_ID)
    has = ", ".join(schema.user_columns) or "none"
    unknown = [name for name in profiles.columns if name not in (columns.USER_ID, *schema.user_columns)]
    problems += [f"'{name}' is no user column of this workspace (it has: {has})" for name in unknown]
    _refuse(_PROFILES, problems)
    ids = canonical_ids(profiles[columns.USER_ID])
    if ids.null_count() or ids.is_duplicated().any():
        _refuse(_PROFILES, ["every row needs a user_id that no other row has"])
    rows = profiles.iter_rows(named=True)
    return {user_id: dict(typed_profile(row, schema.user_columns)) for user_id, row in zip(ids, rows, strict=True)}


def _refuse(frame: str, problems: Sequence[str]) -> None:
    if problems:
        raise DataError(f"The frame of {frame} cannot be used: {'; '.join(problems)}.")
