"""Frames of feature rows as the feature store holds them: their columns, their version, and the way to a FeatureRow.

It knows names and types, neither Feast nor the event log.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import polars as pl

from recsys import columns
from recsys.context.batch import FeatureRow
from recsys.context.feature_names import plain_names
from recsys.context.feature_schema import FeatureSchema
from recsys.context.profile_values import typed_profile
from recsys.data.schema import ColumnType, WorkspaceSchema, polars_type
from recsys.events.derived import DERIVED_COLUMNS

FOREVER = 2**63 - 1
"""`valid_until` of a row after which the log knows no event of its user."""

CONTEXT_COLUMNS: Mapping[str, pl.DataType] = {
    columns.HISTORY_ITEMS: pl.List(pl.String()),
    columns.HISTORY_TIMES: pl.List(pl.Int64()),
    columns.HISTORY_VALUES: pl.List(pl.Float32()),
    columns.EVENT_COUNT: pl.Int64(),
    columns.FIRST_EVENT_AT: pl.Int64(),
    columns.LAST_EVENT_AT: pl.Int64(),
    columns.LOG_SEQUENCE: pl.Int64(),
    columns.LOG_POSITION: pl.Int64(),
    columns.PRESENT: pl.Boolean(),
    **DERIVED_COLUMNS,
}
SEEN_COLUMNS: Mapping[str, pl.DataType] = {
    columns.SEEN_ITEMS: pl.List(pl.String()),
    columns.SEEN_COUNTS: pl.List(pl.Int64()),
    columns.SEEN_LAST: pl.List(pl.Int64()),
    columns.SEEN_LOG_POSITION: pl.Int64(),
}


LAYOUT = 3
"""Grows when the fold computes a column in another way; the hash sees names, order and types by itself."""


def feature_schema(schema: WorkspaceSchema) -> FeatureSchema:
    """The version of feature rows that this library makes for a workspace of that schema."""
    named = tuple((name, str(dtype)) for name, dtype in row_schema(schema).items())
    return FeatureSchema(layout=LAYOUT, columns=named, meaning=schema.feature_meaning())


def feature_service_name(schema: WorkspaceSchema) -> str:
    """The Feast service whose rows have this schema's shape: another shape is another name."""
    return feature_schema(schema).service


def profile_fields(schema: WorkspaceSchema) -> dict[str, str]:
    """The feature name of every profile column."""
    return plain_names("profile", schema.user_columns)


def profile_types(schema: WorkspaceSchema) -> dict[str, ColumnType]:
    """The type of every profile feature, by feature name."""
    return {field: schema.user_columns[column] for column, field in profile_fields(schema).items()}


def row_schema(schema: WorkspaceSchema) -> pl.Schema:
    """Columns and types of a frame of stored rows, without its timestamps."""
    profile = {field: polars_type(kind) for field, kind in profile_types(schema).items()}
    return pl.Schema({columns.USER_ID: pl.String(), **CONTEXT_COLUMNS, **SEEN_COLUMNS, **profile})


def feature_rows(stored: Mapping[str, Sequence[object]], schema: WorkspaceSchema) -> list[FeatureRow]:
    """Stored rows as the typed rows that travel.

    Args:
        stored: columns of `row_schema`, each a sequence of equal length; a row whose `present` is null or False is
            an unknown user's.
        schema: the workspace's schema.

    Returns:
        One row a user, in order.
    """
    fields = profile_fields(schema)
    names = [name for name in row_schema(schema) if name not in (columns.LOG_POSITION, columns.SEEN_LOG_POSITION)]
    return [
        _feature_row(dict(zip(names, values, strict=True)), fields, schema)
        for values in zip(*(stored[name] for name in names), strict=True)
    ]


def unknown_user(user_id: str, schema: WorkspaceSchema) -> FeatureRow:
    """The row of a user of whom nothing is known."""
    return FeatureRow(user_id=user_id, profile=dict.fromkeys(schema.user_columns), degraded="unknown_user")


def _feature_row(row: dict[str, object], fields: Mapping[str, str], schema: WorkspaceSchema) -> FeatureRow:
    user_id = str(row[columns.USER_ID])
    if not row[columns.PRESENT]:
        return unknown_user(user_id, schema)
    raw = {column: row[field] for column, field in fields.items()}
    return FeatureRow(
        user_id=user_id,
        history_items=tuple(row[columns.HISTORY_ITEMS] or ()),  # type: ignore[arg-type]
        history_times=tuple(row[columns.HISTORY_TIMES] or ()),  # type: ignore[arg-type]
        history_values=tuple(row[columns.HISTORY_VALUES] or ()),  # type: ignore[arg-type]
        seen_items=tuple(row[columns.SEEN_ITEMS] or ()),  # type: ignore[arg-type]
        seen_counts=tuple(row[columns.SEEN_COUNTS] or ()),  # type: ignore[arg-type]
        seen_last=tuple(row[columns.SEEN_LAST] or ()),  # type: ignore[arg-type]
        event_count=int(row[columns.EVENT_COUNT]),  # type: ignore[call-overload]
        first_event_at=int(row[columns.FIRST_EVENT_AT]),  # type: ignore[call-overload]
        last_event_at=int(row[columns.LAST_EVENT_AT]),  # type: ignore[call-overload]
        log_sequence=int(row[columns.LOG_SEQUENCE]),  # type: ignore[call-overload]
        present=True,
        events_last_7_days=int(row[columns.EVENTS_LAST_7_DAYS]),  # type: ignore[call-overload]
        events_last_30_days=int(row[columns.EVENTS_LAST_30_DAYS]),  # type: ignore[call-overload]
        active_days=int(row[columns.ACTIVE_DAYS]),  # type: ignore[call-overload]
        mean_gap=int(row[columns.MEAN_GAP]),  # type: ignore[call-overload]
        popularity_mean=float(row[columns.POPULARITY_MEAN]),  # type: ignore[arg-type]
        popularity_spread=float(row[columns.POPULARITY_SPREAD]),  # type: ignore[arg-type]
        first_share=float(row[columns.FIRST_SHARE]),  # type: ignore[arg-type]
        affinity_names=tuple(row[columns.AFFINITY_NAMES] or ()),  # type: ignore[arg-type]
        affinity_weights=tuple(row[columns.AFFINITY_WEIGHTS] or ()),  # type: ignore[arg-type]
        profile=typed_profile(raw, schema.user_columns),
    )
