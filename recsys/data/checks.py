"""What a brought file must look like: every structural problem in words, all of them found at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import polars as pl

from recsys.columns import EVENT, ITEM_ID, POSITION, REQUEST_ID, TIMESTAMP, USER_ID, VALUE
from recsys.data.ids import fractional_ids, is_id_type
from recsys.data.moments import is_moment_type

RATING = "rating"
_LARGEST_POSITION = 10**9


def event_problems(frame: pl.DataFrame) -> list[str]:
    """Everything structurally wrong with an events file, in words; empty when it can be used."""
    problems = _missing(frame, USER_ID, ITEM_ID)
    if TIMESTAMP not in frame.columns and POSITION not in frame.columns:
        problems.append(
            f"there is neither a column '{TIMESTAMP}' nor '{POSITION}': events need a time or an order "
            f"(it has: {', '.join(frame.columns)})"
        )
    if RATING in frame.columns and VALUE in frame.columns:
        problems.append(f"the columns '{RATING}' and '{VALUE}' mean the same; keep one of them")
    return problems + _wrong(frame, _EVENT_COLUMNS)


def table_problems(frame: pl.DataFrame, key: str) -> list[str]:
    """Everything structurally wrong with a users or items file, in words; empty when it can be used."""
    return _missing(frame, key) + _wrong(frame, {key: _ids})


def _missing(frame: pl.DataFrame, *names: str) -> list[str]:
    has = ", ".join(frame.columns)
    return [f"the column '{name}' is missing (it has: {has})" for name in names if name not in frame.columns]


def _wrong(frame: pl.DataFrame, tests: Mapping[str, Callable[[pl.Series], str | None]]) -> list[str]:
    found = {name: test(frame[name]) for name, test in tests.items() if name in frame.columns}
    return [f"the column '{name}' {wrong} (it is {frame.schema[name]})" for name, wrong in found.items() if wrong]


def _ids(values: pl.Series) -> str | None:
    if not is_id_type(values.dtype):
        return "must hold ids: integers or text"
    fractions = fractional_ids(values)
    return f"must hold ids, but {fractions} values are no whole numbers" if fractions else None


def _requests(values: pl.Series) -> str | None:
    usable = values.dtype.is_integer() or values.dtype in (pl.String, pl.Null)
    return None if usable else "must hold ids of requests as text"


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


_EVENT_COLUMNS: Mapping[str, Callable[[pl.Series], str | None]] = {
    USER_ID: _ids,
    ITEM_ID: _ids,
    TIMESTAMP: _moment,
    POSITION: _position,
    RATING: _number,
    VALUE: _number,
    EVENT: _text,
    REQUEST_ID: _requests,
}
