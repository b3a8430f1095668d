"""What a users or items column is (categorical, numeric, list, text) and its values in canonical form."""

from __future__ import annotations

import polars as pl

from recsys.data.ids import canonical_ids, fractional_ids
from recsys.data.schema import ColumnType, polars_type

LIST_SEPARATOR = "|"
FEW_INTEGERS = 30  # an integer column with at most this many different values names groups, not amounts
_LISTED_SHARE = 0.1
_TEXT_WORDS = 2.0
_TEXT_DISTINCT = 0.5


def infer_type(values: pl.Series) -> ColumnType | None:
    """The type of a column; None when it holds nothing, or nothing that can be used.

    Lists are lists, and so is text of which a tenth holds "|". Numbers and dates are numeric, but integers of at most
    30 different values are categorical. Text is categorical, unless its values have two words or more on average
    and half of them are distinct: then it is text.
    """
    dtype, present = values.dtype, values.drop_nulls()
    if present.len() == 0:
        return None
    if isinstance(dtype, pl.List | pl.Array):
        return "list" if _is_scalar(dtype.inner) else None
    if dtype.is_integer():
        return "categorical" if present.n_unique() <= FEW_INTEGERS else "numeric"
    if dtype.is_numeric() or dtype in (pl.Date, pl.Datetime):
        return "numeric"
    if dtype in (pl.Boolean, pl.Categorical, pl.Enum):
        return "categorical"
    return _type_of_text(present) if dtype == pl.String else None


def typed(values: pl.Series, column_type: ColumnType) -> tuple[pl.Series, str | None]:
    """The column in the canonical form of its type (see `polars_type`), and what is wrong if that cannot be.

    Missing values, NaN, infinities and blank text become null; elements of lists likewise are left out. Dates as
    numbers are days since 1970. A text is split into a list at "|".
    """
    is_list = isinstance(values.dtype, pl.List | pl.Array) and _is_scalar(values.dtype.inner)
    if not is_list and not _is_scalar(values.dtype):
        return values, f"holds {values.dtype}, which cannot be used"
    if column_type == "list":
        return _as_list(values), None
    if is_list:
        return values, f"holds lists, which cannot be {column_type}"
    return _as_numbers(values) if column_type == "numeric" else (_as_labels(values), None)


def _is_scalar(dtype: object) -> bool:
    if not isinstance(dtype, pl.DataType):
        return False
    text = dtype in (pl.String, pl.Categorical, pl.Enum)
    return text or dtype.is_numeric() or dtype in (pl.Boolean, pl.Date, pl.Datetime, pl.Null)


def _as_labels(values: pl.Series) -> pl.Series:
    if fractional_ids(values):
        return values.set(~values.is_finite(), None).cast(pl.String)
    return canonical_ids(values)


def _type_of_text(present: pl.Series) -> ColumnType | None:
    present = present.filter(present.str.strip_chars() != "")
    if present.len() == 0:
        return None
    if float(present.str.contains(LIST_SEPARATOR, literal=True).mean() or 0) >= _LISTED_SHARE:  # type: ignore[arg-type]
        return "list"
    words = float((present.str.strip_chars().str.count_matches(r"\s+") + 1).mean() or 0)  # type: ignore[arg-type]
    distinct = present.n_unique() / present.len()
    return "text" if words >= _TEXT_WORDS and distinct >= _TEXT_DISTINCT else "categorical"


def _as_numbers(values: pl.Series) -> tuple[pl.Series, str | None]:
    if values.dtype in (pl.Datetime, pl.Date):
        values = values.cast(pl.Datetime("us")).cast(pl.Int64) / 86_400_000_000
    given = values.cast(pl.String).str.strip_chars() if values.dtype in (pl.String, pl.Categorical, pl.Enum) else values
    if given.dtype == pl.String:
        given = given.set(given == "", None)
    numbers = given.cast(pl.Float64, strict=False)
    lost = given.filter(numbers.is_null() & given.is_not_null())
    if lost.len():
        return values, f"has {lost.len()} values that are no numbers, such as '{lost[0]}'"
    return numbers.set(~numbers.is_finite(), None), None


def _as_list(values: pl.Series) -> pl.Series:
    frame = values.alias("values").to_frame()
    if isinstance(values.dtype, pl.List | pl.Array):
        lists = pl.col("values").cast(pl.List(values.dtype.inner))
        given = pl.element().fill_nan(None) if isinstance(values.dtype.inner, pl.Float64 | pl.Float32) else pl.element()
        numbers = lists.list.eval(given.cast(pl.String))
    else:
        text = _as_labels(values).alias("values")
        frame = text.to_frame()
        numbers = pl.col("values").str.split(LIST_SEPARATOR)
    tidy = numbers.list.eval(pl.element().str.strip_chars().str.replace(r"^(-?\d+)\.0+$", "$1"))
    kept = tidy.list.eval(pl.element().filter(pl.element().is_not_null() & (pl.element() != "")))
    return frame.select(kept.cast(polars_type("list"))).to_series()
