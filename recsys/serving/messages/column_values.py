"""Whether a value that was sent fits the type of its column."""

from __future__ import annotations

from recsys.context.profile_values import is_no_number
from recsys.data.schema import ColumnType
from recsys.serving.messages.requests import ProfileValue


def complaint(value: ProfileValue, kind: ColumnType) -> str | None:
    """What is wrong with it, None when it fits."""
    if kind == "numeric" and value is not None and (isinstance(value, (bool, str, list)) or is_no_number(value)):
        return "This column is numeric: send a number, or leave it out."
    if kind != "list" and isinstance(value, list):
        return f"This column is {kind}: send one value, not a list."
    return None
