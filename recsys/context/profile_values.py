"""One form for profile values, so that a row read from Feast, built from the catalogue or sent inline is the same row.

It knows column types, not Feast and not tensors.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import numpy as np

from recsys.errors import DataError

if TYPE_CHECKING:
    from recsys.data.schema import ColumnType

ProfileValue = str | float | tuple[str, ...] | None


def typed_profile(values: Mapping[str, object], columns: Mapping[str, ColumnType]) -> dict[str, ProfileValue]:
    """Brings a user's profile into its one form.

    Args:
        values: raw values by column; columns that the schema does not have are ignored, missing ones become None.
        columns: the workspace's user columns and their types.

    Returns:
        Every column of `columns`, in that order: categorical and text as str, numeric as float, list as a tuple of
        str. An empty string, an empty list, NaN, infinity and an int too large for a float all say "not known" and
        become None.

    Raises:
        DataError: a numeric column holds something that is not a number.
    """
    return {name: _typed(name, values.get(name), kind) for name, kind in columns.items()}


def is_no_number(value: object) -> bool:
    """Whether a value is a number that says nothing: NaN, infinite, or too large for a float."""
    try:
        return isinstance(value, int | float | np.floating) and not math.isfinite(value)
    except OverflowError:
        return True


def _typed(name: str, value: object, kind: ColumnType) -> ProfileValue:
    if value is None or is_no_number(value):
        return None
    if kind == "numeric":
        return _number(name, value)
    if kind == "list":
        return _strings(value)
    return str(value) or None


def _number(name: str, value: object) -> float | None:
    if value == "":
        return None
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        raise DataError(
            f"Profile column '{name}' is numeric and got {value!r}. Send a number, or leave the column out."
        ) from None
    return number if math.isfinite(number) else None


def _strings(value: object) -> tuple[str, ...] | None:
    members = (value,) if isinstance(value, str) or not isinstance(value, Iterable) else value
    return tuple(str(member) for member in members if member is not None and member != "") or None
