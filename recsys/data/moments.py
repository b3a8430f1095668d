"""Timestamps of every usual form to int64 microseconds since the epoch, UTC, with a sentence on what was inferred."""

from __future__ import annotations

import polars as pl

from recsys.data.canonical import MICROSECONDS

# The middle of a column tells its unit: these are the year 5138 read as seconds, milliseconds, microseconds.
_UNITS = ((1e11, "seconds", 1_000_000), (1e14, "milliseconds", 1_000), (1e17, "microseconds", 1))
_DAY_FORMATS = ("%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%dT%H:%M", "%Y-%m-%d")


def is_moment_type(dtype: pl.DataType) -> bool:
    """Whether a column of that type can hold timestamps."""
    return dtype.is_integer() or dtype.is_float() or dtype in (pl.String, pl.Datetime, pl.Date)


def moments(values: pl.Series) -> tuple[pl.Series, str]:
    """Timestamps as microseconds.

    Args:
        values: numbers since the epoch (the unit follows from their magnitude), datetimes, dates (midnight), or text:
            ISO 8601 or numbers. Without a time zone, UTC is meant.

    Returns:
        Int64 microseconds, null where a value is missing or cannot be read; and how they were read.
    """
    if values.dtype == pl.Datetime:
        return values.dt.cast_time_unit("us").cast(pl.Int64), "datetimes" + _zone(values.dtype)
    if values.dtype == pl.Date:
        return values.cast(pl.Datetime("us")).cast(pl.Int64), "dates, taken as midnight UTC"
    if values.dtype == pl.String:
        text = values.str.strip_chars()
        numbers = text.cast(pl.Float64, strict=False)
        if numbers.null_count() > text.null_count() or not numbers.len() - numbers.null_count():
            return _from_iso(text), "ISO 8601 text, UTC where no zone is written"
        integers = text.cast(pl.Int64, strict=False)
        values = integers if integers.null_count() == numbers.null_count() else numbers
    return _from_numbers(values)


def _zone(dtype: pl.DataType) -> str:
    return "" if getattr(dtype, "time_zone", None) else " without a zone, taken as UTC"


def _from_numbers(values: pl.Series) -> tuple[pl.Series, str]:
    if values.dtype.is_float():
        values = values.set(~values.is_finite(), None)
    middle = values.filter(values > 0).cast(pl.Float64).median()
    size = float(middle) if isinstance(middle, int | float) else 0.0
    unit, factor = next(((unit, factor) for limit, unit, factor in _UNITS if size < limit), ("nanoseconds", 0))
    if factor == 0:
        return (values.cast(pl.Int64, strict=False) // 1_000), "nanoseconds since the epoch, by their magnitude"
    if values.dtype.is_float():
        return (values * factor).round(0).cast(pl.Int64, strict=False), f"{unit} since the epoch, by their magnitude"
    # A stray value of a larger unit must not overflow into a believable time.
    whole = values.cast(pl.Int64, strict=False)
    whole = whole.set(whole.abs() > 2**62 // factor, None)
    return whole * factor, f"{unit} since the epoch, by their magnitude"


def _from_iso(text: pl.Series) -> pl.Series:
    frame = pl.DataFrame({"text": text.str.replace(r"^(\d{4}-\d{2}-\d{2}) ", "${1}T").str.replace(r"[zZ]$", "+00:00")})
    zoned = pl.col("text").str.to_datetime("%Y-%m-%dT%H:%M:%S%.f%:z", time_unit="us", time_zone="UTC", strict=False)
    local = [
        pl.col("text").str.to_datetime(form, time_unit="us", strict=False).dt.replace_time_zone("UTC")
        if "H" in form
        else pl.col("text").str.to_date(form, strict=False).cast(pl.Datetime("us", "UTC"))
        for form in _DAY_FORMATS
    ]
    return frame.select(pl.coalesce(zoned, *local).cast(pl.Int64)).to_series()


def future_limit(now_seconds: float) -> int:
    """The latest believable time, in microseconds: a day from now, for clocks that are a little off."""
    return int((now_seconds + 86_400) * MICROSECONDS)
