"""Turns typed profile columns into a fixed-width float vector; fitted on training users, stored in the snapshot."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
import numpy.typing as npt

from recsys.context.profile_values import ProfileValue, is_no_number, typed_profile
from recsys.errors import ConfigError

if TYPE_CHECKING:
    from recsys.data.schema import ColumnType

EncodedType = Literal["categorical", "numeric", "list"]
MAX_DEVIATIONS = 8.0
"""Standardised numbers are clipped here, so that one absurd value cannot drown the rest of the vector."""
_LARGEST = 1e150
"""Numbers beyond this are fitted as this: their squares would be infinite."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnEncoding:
    """How one column becomes numbers.

    Attributes:
        name: the profile column.
        kind: categorical: one-hot; numeric: standardised value; list: multi-hot.
        categories: the values that have a slot of their own, most frequent first.
        mean: of the known values (numeric).
        scale: their standard deviation, 1 where they do not differ (numeric).
    """

    name: str
    kind: EncodedType
    categories: tuple[str, ...] = ()
    mean: float = 0.0
    scale: float = 1.0

    @property
    def width(self) -> int:
        """One slot a category, or one for the number, and a last one that says "missing or not among these"."""
        return 1 + (1 if self.kind == "numeric" else len(self.categories))

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Self:
        """Reads back one entry of `ProfileEncoding.to_dict`; an unknown key is a TypeError."""
        return cls(**{**stored, "categories": tuple(stored["categories"])})


@dataclass(frozen=True, slots=True)
class ProfileEncoding:
    """The encodings of all profile columns, side by side. Text columns have no slot."""

    columns: tuple[ColumnEncoding, ...] = ()

    @classmethod
    def fit(
        cls,
        profiles: Iterable[Mapping[str, object]],
        columns: Mapping[str, ColumnType],
        *,
        min_count: int = 5,
        max_categories: int = 64,
    ) -> Self:
        """Learns categories and scales.

        Args:
            profiles: profile values of the training users, one mapping a user.
            columns: the workspace's user columns and their types.
            min_count: a category or list member needs so many users to get a slot.
            max_categories: at most so many slots a column, the most frequent ones.
        """
        rows = [typed_profile(profile, columns) for profile in profiles]
        return cls(
            tuple(
                _fit_column(name, kind, [row[name] for row in rows], min_count, max_categories)
                for name, kind in columns.items()
                if kind != "text"
            )
        )

    @property
    def width(self) -> int:
        """Length of the encoded vector; 0 when the workspace has no profile."""
        return sum(column.width for column in self.columns)

    def encode(self, profiles: Sequence[Mapping[str, object]]) -> npt.NDArray[np.float32]:
        """Encodes profiles.

        Args:
            profiles: values by column; a column that is not there counts as missing.

        Returns:
            (len(profiles), width) float32.

        Raises:
            DataError: a numeric column holds something that is not a number.
        """
        kinds: dict[str, ColumnType] = {column.name: column.kind for column in self.columns}
        rows = [typed_profile(profile, kinds) for profile in profiles]
        encoded = np.zeros((len(rows), self.width), dtype=np.float32)
        start = 0
        for column in self.columns:
            block = encoded[:, start : start + column.width]
            _encode_column(column, [row[column.name] for row in rows], block)
            start += column.width
        return encoded

    def not_finite(self, profiles: Sequence[Mapping[str, object]]) -> int:
        """How many values of these columns are NaN or infinite: to `encode` they are missing."""
        names = [column.name for column in self.columns]
        return sum(is_no_number(profile.get(name)) for profile in profiles for name in names)

    def to_dict(self) -> dict[str, object]:
        """What the snapshot keeps; plain JSON types."""
        return {"columns": [asdict(column) | {"categories": list(column.categories)} for column in self.columns]}

    @classmethod
    def from_dict(cls, stored: Mapping[str, object]) -> Self:
        """Reads back what `to_dict` wrote.

        Raises:
            ConfigError: the stored form has other keys than this version writes.
        """
        try:
            return cls(tuple(ColumnEncoding.from_dict(entry) for entry in _only_key(stored, "columns")))
        except (TypeError, KeyError, ValueError) as error:
            raise ConfigError(
                f"This is not a profile encoding of this version of recsys: {error}. Train a new snapshot."
            ) from error


def _only_key(stored: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
    if set(stored) != {key}:
        raise ValueError(f"its keys are {sorted(stored)} where only '{key}' belongs")
    entries: list[dict[str, Any]] = stored[key]
    return entries


def _fit_column(
    name: str, kind: ColumnType, values: list[ProfileValue], min_count: int, max_categories: int
) -> ColumnEncoding:
    if kind == "numeric":
        numbers = np.array([value for value in values if value is not None], dtype=np.float64)
        if numbers.size == 0:
            return ColumnEncoding(name=name, kind="numeric")
        numbers = numbers.clip(-_LARGEST, _LARGEST)
        spread = float(numbers.std()) if numbers.min() < numbers.max() else 0.0
        return ColumnEncoding(name=name, kind="numeric", mean=float(numbers.mean()), scale=spread or 1.0)
    counts = Counter(chain.from_iterable(set(_members(value)) for value in values))
    frequent = sorted((-count, member) for member, count in counts.items() if count >= min_count)
    categories = tuple(member for _, member in frequent[:max_categories])
    return ColumnEncoding(name=name, kind="list" if kind == "list" else "categorical", categories=categories)


def _encode_column(column: ColumnEncoding, values: list[ProfileValue], out: npt.NDArray[np.float32]) -> None:
    if column.kind == "numeric":
        numbers = np.array([np.nan if value is None else value for value in values], dtype=np.float64)
        missing = np.isnan(numbers)
        with np.errstate(over="ignore"):
            deviations = np.clip((numbers - column.mean) / column.scale, -MAX_DEVIATIONS, MAX_DEVIATIONS)
        out[:, 0] = np.where(missing, 0.0, deviations)
        out[:, 1] = missing
        return
    slots = {category: slot for slot, category in enumerate(column.categories)}
    other = len(slots)
    for row, value in enumerate(values):
        out[row, [slots.get(member, other) for member in _members(value)] or [other]] = 1.0


def _members(value: ProfileValue) -> tuple[str, ...]:
    if value is None:
        return ()
    return value if isinstance(value, tuple) else (str(value),)
