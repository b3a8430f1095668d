"""One text for one id, whatever type a file keeps it in: 7, 7.0 and "7" are the same user."""

from __future__ import annotations

import polars as pl

#: Ids written as whole numbers with a decimal part, which is what a table with gaps makes of integers.
_FLOAT_TEXT = r"^-?\d+\.0+$"


NUL = "\0"
"""No id may hold one: databases end a text there, and two users would become one."""
HOLDS_NUL = "holds a NUL character, with which no id can be stored; remove it from the data"


REQUEST_ID_FORM = r"[A-Za-z0-9._:-]{1,128}"
"""What a request's id may look like: harmless in a log file, a header and a database."""


def is_id_type(dtype: pl.DataType) -> bool:
    """Whether a column of that type can hold ids at all."""
    return dtype.is_integer() or dtype.is_float() or dtype in (pl.String, pl.Categorical, pl.Enum)


def fractional_ids(ids: pl.Series) -> int:
    """How many ids are no whole number (only a float column can have any)."""
    if not ids.dtype.is_float():
        return 0
    return int((ids.is_infinite() | (ids != ids.round(0))).sum() or 0)


def canonical_ids(ids: pl.Series) -> pl.Series:
    """Ids as text: integers without a decimal part, text as it is, missing or blank ones null.

    Args:
        ids: a column for which `is_id_type` holds and `fractional_ids` is 0.
    """
    if ids.dtype.is_float():
        text = ids.set(~ids.is_finite(), None).cast(pl.Int64, strict=False).cast(pl.String)
    else:
        text = ids.cast(pl.String)
    text = text.set(text.str.strip_chars() == "", None)
    written_as_float = text.drop_nulls().str.contains(_FLOAT_TEXT)
    if written_as_float.len() and written_as_float.all():
        text = text.str.replace(r"\.0+$", "")
    return text
