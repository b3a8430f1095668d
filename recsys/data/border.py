"""The border that all data cross on their way to log and catalogue: pandera schemas of the canonical frames.

Whoever made a frame, one message lists everything that is wrong with it, with columns, rows and reasons.
"""

from __future__ import annotations

import time

import pandera.polars as pa
import polars as pl
from pandera.errors import SchemaError, SchemaErrors

from recsys.columns import EVENT, EVENT_ID, ITEM_ID, OCCURRED_AT, REQUEST_ID, USER_ID, VALUE
from recsys.data.canonical import EVENT_SCHEMA, OPTIONAL_SCHEMA
from recsys.data.ids import HOLDS_NUL, NUL, REQUEST_ID_FORM
from recsys.data.imported import ImportedData
from recsys.data.moments import future_limit
from recsys.errors import DataError

_NULLABLE = (EVENT, VALUE, REQUEST_ID)
_IDS = (EVENT_ID, USER_ID, ITEM_ID)
_ROWS_SHOWN = 5


def check_imported(imported: ImportedData) -> None:
    """Checks the three frames of a data set against what the log and the catalogue take.

    Raises:
        DataError: a frame is not canonical; everything wrong with all three is listed.
    """
    schema = imported.schema
    problems = [
        *event_frame_problems(imported.events, clock=schema.clock),
        *_problems("users", imported.users, schema.users_frame_schema(), USER_ID, {}),
        *_problems("items", imported.items, schema.items_frame_schema(), ITEM_ID, {}),
    ]
    _refuse(f"The data from {imported.source}", problems, "Nothing was imported.")


def check_events(events: pl.DataFrame, source: str, *, clock: bool) -> None:
    """Checks a frame of events against what the log takes.

    Args:
        events: to be appended.
        source: where they come from, for the message.
        clock: whether their times are real.

    Raises:
        DataError: it is not canonical; everything wrong is listed.
    """
    _refuse(f"The events from {source}", event_frame_problems(events, clock=clock), "Nothing was appended.")


def event_frame_problems(events: pl.DataFrame, *, clock: bool) -> list[str]:
    """Everything wrong with a canonical frame of events, in words; rows count from 1."""
    checks = {
        VALUE: [_check(pl.col(VALUE).is_finite(), "is NaN or infinite")],
        REQUEST_ID: [_check(pl.col(REQUEST_ID).str.contains(f"^{REQUEST_ID_FORM}$"), "is of another form")],
    }
    if clock:
        latest = future_limit(time.time())
        checks[OCCURRED_AT] = [
            _check(pl.col(OCCURRED_AT) > 0, "lies at or before 1970"),
            _check(pl.col(OCCURRED_AT) <= latest, "lies more than a day ahead of now"),
        ]
    optional = {name: dtype for name, dtype in OPTIONAL_SCHEMA.items() if name in events.columns}
    return _problems("events", events, pl.Schema({**EVENT_SCHEMA, **optional}), EVENT_ID, checks)


def _refuse(whose: str, problems: list[str], done: str) -> None:
    if problems:
        listed = "\n".join(f"  - {problem}" for problem in problems)
        raise DataError(f"{whose} are not in canonical form:\n{listed}\n{done}")


def _problems(
    name: str, frame: pl.DataFrame, types: pl.Schema, key: str, checks: dict[str, list[pa.Check]]
) -> list[str]:
    required = [column for column in types if column not in _NULLABLE] if name == "events" else [key]
    columns = {
        column: pa.Column(dtype, nullable=column not in required, checks=[*_id_checks(column), *checks.get(column, [])])
        for column, dtype in types.items()
    }
    schema = pa.DataFrameSchema(columns, unique=[key], strict=True, ordered=False)
    try:
        schema.validate(frame, lazy=True)
    except SchemaErrors as errors:
        return [f"{name}: {_sentence(error, key)}" for error in errors.schema_errors]
    return []


def _id_checks(column: str) -> list[pa.Check]:
    if column not in _IDS:
        return []
    return [
        _check(pl.col(column).str.strip_chars() != "", "is blank"),
        _check(~pl.col(column).str.contains(NUL, literal=True), HOLDS_NUL),
    ]


def _check(holds: pl.Expr, wrong: str) -> pa.Check:
    return pa.Check(lambda data: data.lazyframe.select(holds), error=wrong)


def _sentence(error: SchemaError, key: str) -> str:
    reason = getattr(error.reason_code, "name", "")
    if reason == "COLUMN_NOT_IN_DATAFRAME":
        return f"the column '{error.failure_cases}' is missing"
    if reason == "COLUMN_NOT_IN_SCHEMA":
        return f"the column '{error.failure_cases}' is not in the schema"
    if reason == "DUPLICATES":
        return f"'{key}' comes more than once{_rows(error)}"
    column = getattr(error.schema, "name", None)
    if reason == "SERIES_CONTAINS_NULLS":
        return f"'{column}' is missing{_rows(error)}"
    own = getattr(error.check, "error", None)
    return f"'{column}' {own}{_rows(error)}" if own else str(error).strip().split("\n")[0]


def _rows(error: SchemaError) -> str:
    """Where: the first rows that fail, counted from 1 in the order handed over, and how many more."""
    output = error.check_output
    if not isinstance(output, pl.DataFrame) or "check_output" not in output.columns:
        return ""
    failed = output.select((~pl.col("check_output").fill_null(value=True)).arg_true() + 1).to_series().to_list()
    if not failed:
        return ""
    shown = ", ".join(f"{row:,}" for row in failed[:_ROWS_SHOWN])
    more = f" and {len(failed) - _ROWS_SHOWN:,} more" if len(failed) > _ROWS_SHOWN else ""
    return f" in row{'s' if len(failed) > 1 else ''} {shown}{more}"
