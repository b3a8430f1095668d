"""Frames of feature rows as the feature store holds them: their columns, their version, and the way to a FeatureRow.

It knows names and types, neither Feast nor the event log.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import polars as pl

from recsys import columns
from recsys.context.batch import FeatureRow
from recsys.context.feature_names import plain_names
from recsys.context.feature_schema import FeatureSchema
from recsys.context.profile_values import typed_profile
from recsys.context.reasons import BROKEN_ROW, UNKNOWN_USER
from recsys.data.schema import ColumnType, WorkspaceSchema, polars_type
from recsys.errors import DataError
from recsys.events.derived import DERIVED_COLUMNS
from recsys.events.fold import HISTORY_LENGTH

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


_BOOKKEEPING = (columns.LOG_POSITION, columns.SEEN_LOG_POSITION, columns.PRESENT)
_FIXED = {name: dtype for name, dtype in {**CONTEXT_COLUMNS, **SEEN_COLUMNS}.items() if name not in _BOOKKEEPING}
_PYTHON = {pl.String(): str, pl.Int64(): int, pl.Float32(): float, pl.Float64(): float}
_LISTS = {
    name: _PYTHON[pl.Series(dtype=dtype.inner).dtype] for name, dtype in _FIXED.items() if isinstance(dtype, pl.List)
}
_NUMBERS = {name: _PYTHON[dtype] for name, dtype in _FIXED.items() if not isinstance(dtype, pl.List)}
_ALIGNED = (
    (columns.HISTORY_ITEMS, columns.HISTORY_TIMES, columns.HISTORY_VALUES),
    (columns.SEEN_ITEMS, columns.SEEN_COUNTS, columns.SEEN_LAST),
    (columns.AFFINITY_NAMES, columns.AFFINITY_WEIGHTS),
)

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
        One row a user, in order; one that the fold cannot have made is not `present`, degraded `broken_row`: half of
        it is missing, lists that belong together differ in length or do not hold the events that were counted, or a
        value is null or of another type.
    """
    fields = profile_fields(schema)
    names = (columns.USER_ID, *CONTEXT_COLUMNS, *SEEN_COLUMNS, *fields.values())
    return [
        _row_or_broken(dict(zip(names, values, strict=True)), fields, schema)
        for values in zip(*(stored[name] for name in names), strict=True)
    ]


def unknown_user(user_id: str, schema: WorkspaceSchema) -> FeatureRow:
    """The row of a user of whom nothing is known."""
    return FeatureRow(user_id=user_id, profile=dict.fromkeys(schema.user_columns), degraded=UNKNOWN_USER)


def _row_or_broken(row: dict[str, object], fields: Mapping[str, str], schema: WorkspaceSchema) -> FeatureRow:
    user_id = str(row[columns.USER_ID])
    if row[columns.LOG_POSITION] is None and row[columns.SEEN_LOG_POSITION] is None:
        return unknown_user(user_id, schema)
    try:
        return _feature_row(user_id, row, fields, schema)
    except (TypeError, ValueError, OverflowError, DataError):
        return FeatureRow(user_id=user_id, profile=dict.fromkeys(schema.user_columns), degraded=BROKEN_ROW)


def _feature_row(
    user_id: str, row: dict[str, object], fields: Mapping[str, str], schema: WorkspaceSchema
) -> FeatureRow:
    lists = {name: _listed(row, name, kind) for name, kind in _LISTS.items()}
    for names in _ALIGNED:
        if len({len(lists[name]) for name in names}) > 1:
            raise ValueError(f"{', '.join(names)} have different lengths")
    numbers = {name: _number(row[name], kind) for name, kind in _NUMBERS.items()}
    _refuse_other_numbers(lists, numbers)
    for position in (columns.LOG_POSITION, columns.SEEN_LOG_POSITION):
        _number(row[position], int)
    if row[columns.PRESENT] is not True:
        raise ValueError("half of the row is missing")
    raw = {column: row[field] for column, field in fields.items()}
    profile = typed_profile(raw, schema.user_columns)
    return FeatureRow(user_id=user_id, present=True, profile=profile, **lists, **numbers)  # type: ignore[arg-type]


def _refuse_other_numbers(lists: Mapping[str, tuple[Any, ...]], numbers: Mapping[str, Any]) -> None:
    """The fold counts every positive event once, lists its item as seen, and keeps the last ones as the history."""
    count = numbers[columns.EVENT_COUNT]
    history, seen = len(lists[columns.HISTORY_ITEMS]), sum(lists[columns.SEEN_COUNTS])
    if history != min(count, HISTORY_LENGTH) or seen != count:
        raise ValueError(f"of {count} events the history holds {history} and the seen items {seen}")


def _listed(row: Mapping[str, object], name: str, kind: type) -> tuple[object, ...]:
    stored = row[name]
    values = tuple(stored) if isinstance(stored, Iterable) else ()
    if values and type(values[0]) is not kind:  # a stored list holds values of one type
        raise TypeError(f"{name} holds {values[0]!r}")
    return values


def _number(value: object, kind: type) -> object:
    if type(value) is not kind:
        raise TypeError(f"{value!r} is no {kind.__name__}")
    return value
