"""What a brought file must look like: pandera schemas whose failures are sentences, all of them found at once."""

from __future__ import annotations

from collections.abc import Callable

import pandera.polars as pa
import polars as pl
from pandera.errors import SchemaErrors

from recsys.columns import EVENT, ITEM_ID, POSITION, TIMESTAMP, USER_ID, VALUE
from recsys.data.ids import fractional_ids, is_id_type
from recsys.data.moments import is_moment_type

RATING = "rating"
_LARGEST_POSITION = 10**9


def event_problems(frame: pl.DataFrame) -> list[str]:
    """Everything structurally wrong with an events file, in words; empty when it can be used."""
    optional = {TIMESTAMP: _moment, POSITION: _position, RATING: _number, VALUE: _number, EVENT: _text}
    columns = {USER_ID: _column(frame, USER_ID, _ids), ITEM_ID: _column(frame, ITEM_ID, _ids)}
    columns |= {name: _column(frame, name, test, required=False) for name, test in optional.items()}
    has = ", ".join(frame.columns)
    whole = [
        _check(
            lambda: TIMESTAMP in frame.columns or POSITION in frame.columns,
            f"there is neither a column '{TIMESTAMP}' nor '{POSITION}': events need a time or an order (it has: {has})",
        ),
        _check(
            lambda: not (RATING in frame.columns and VALUE in frame.columns),
            f"'{RATING}' and '{VALUE}' mean the same; keep one of them",
        ),
    ]
    return _problems(frame, pa.DataFrameSchema(columns, checks=whole))


def table_problems(frame: pl.DataFrame, key: str) -> list[str]:
    """Everything structurally wrong with a users or items file, in words; empty when it can be used."""
    return _problems(frame, pa.DataFrameSchema({key: _column(frame, key, _ids)}))


def _problems(frame: pl.DataFrame, schema: pa.DataFrameSchema) -> list[str]:
    try:
        schema.validate(frame, lazy=True)
    except SchemaErrors as errors:
        # A missing column comes without a check of ours to explain it.
        return [
            str(getattr(error.check, "error", None) or _missing(str(error.failure_cases), frame))
            for error in errors.schema_errors
        ]
    return []


def _missing(column: str, frame: pl.DataFrame) -> str:
    return f"the column '{column}' is missing (it has: {', '.join(frame.columns)})"


def _column(
    frame: pl.DataFrame, name: str, test: Callable[[pl.Series], str | None], *, required: bool = True
) -> pa.Column:
    wrong = test(frame[name]) if name in frame.columns else None
    sentence = f"the column '{name}' {wrong} (it is {frame.schema.get(name)})"
    return pa.Column(checks=[_check(lambda: wrong is None, sentence)], required=required, nullable=True)


def _check(holds: Callable[[], bool], sentence: str) -> pa.Check:
    return pa.Check(lambda _: holds(), error=sentence)


def _ids(values: pl.Series) -> str | None:
    if not is_id_type(values.dtype):
        return "must hold ids: integers or text"
    fractions = fractional_ids(values)
    return f"must hold ids, but {fractions} values are no whole numbers" if fractions else None


def _moment(values: pl.Series) -> str | None:
    if not is_moment_type(values.dtype):
        return "must hold times: numbers since the epoch, datetimes, dates, or ISO 8601 text"
    return None


def _position(values: pl.Series) -> str | None:
    if not (values.dtype.is_integer() or values.dtype.is_float()) or fractional_ids(values):
        return "must hold whole numbers"
    if (values.cast(pl.Float64).fill_nan(None).abs() > _LARGEST_POSITION).any():
        return f"must lie within ±{_LARGEST_POSITION:,}; if these are times, call the column '{TIMESTAMP}'"
    return None


def _number(values: pl.Series) -> str | None:
    usable = values.dtype.is_numeric() or values.dtype in (pl.Boolean, pl.Null)
    return None if usable else "must hold numbers"


def _text(values: pl.Series) -> str | None:
    usable = values.dtype in (pl.String, pl.Categorical, pl.Enum, pl.Null)
    return None if usable else "must hold kinds of events as text"
