"""Frames of feature rows as the feature store holds them: their columns, their version, and the way to a FeatureRow.

It knows names and types, neither Feast nor the event log.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import polars as pl

from recsys import columns
from recsys.context.batch import FeatureRow
from recsys.context.profile_values import typed_profile
from recsys.data.schema import ColumnType, WorkspaceSchema, polars_type

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
}
SEEN_COLUMNS: Mapping[str, pl.DataType] = {
    columns.SEEN_ITEMS: pl.List(pl.String()),
    columns.SEEN_COUNTS: pl.List(pl.Int64()),
    columns.SEEN_LAST: pl.List(pl.Int64()),
    columns.SEEN_LOG_POSITION: pl.Int64(),
}


def feature_service_name(schema: WorkspaceSchema) -> str:
    """The Feast service whose rows have this schema's shape: another shape is another name."""
    return f"user_context_v{schema.feature_hash()[:12]}"


def profile_fields(schema: WorkspaceSchema) -> dict[str, str]:
    """The feature name of every profile column.

    Feature names hold letters, digits and underscores only, are told apart without regard to case (DuckDB), and
    never meet the fixed features: `Zip code` becomes `profile_zip_code`.
    """
    fields: dict[str, str] = {}
    for position, column in enumerate(schema.user_columns):
        field = "profile_" + re.sub(r"[^a-z0-9]+", "_", column.lower()).strip("_")
        while field in fields.values():
            field = f"{field}_{position}"
        fields[column] = field
    return fields


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
        profile=typed_profile(raw, schema.user_columns),
    )
