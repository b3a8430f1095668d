"""What a workspace's data mean: its columns and their types, what an event says, whether items repeat.

It knows nothing of files of events, of the log or of models; `schema_toml` reads and writes it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal, get_args

import polars as pl

from recsys.columns import EVENT, ITEM_ID, USER_ID, VALUE
from recsys.errors import ConfigError

ColumnType = Literal["categorical", "numeric", "list", "text"]
COLUMN_TYPES: tuple[ColumnType, ...] = get_args(ColumnType)

_POLARS: Mapping[str, pl.DataType] = {
    "categorical": pl.String(),
    "numeric": pl.Float64(),
    "list": pl.List(pl.String()),
    "text": pl.String(),
}


def polars_type(column_type: ColumnType) -> pl.DataType:
    """The type a profile or item column of that kind has in every canonical frame."""
    return _POLARS[column_type]


@dataclass(frozen=True, slots=True)
class EventMeaning:
    """What an event says of its user and item. A kind that is neither positive nor negative says nothing.

    Attributes:
        positive: event kinds that count as positive; None: every kind that is not negative, and events without one.
        negative: event kinds that count as negative: the item joins the seen set, not the history.
        weights: how much an event of a kind counts; 1 where not named.
        min_value: an event whose value is below this is negative; an event without a value is never judged by it.
    """

    positive: tuple[str, ...] | None = None
    negative: tuple[str, ...] = ()
    weights: Mapping[str, float] = field(default_factory=dict)
    min_value: float | None = None

    def __post_init__(self) -> None:
        both = sorted(set(self.positive or ()) & set(self.negative))
        if both:
            raise ConfigError(f"Event kinds cannot be positive and negative at once: {', '.join(both)}.")

    def is_negative(self) -> pl.Expr:
        """Boolean, never null, over a frame with `event` and `value`."""
        negative = pl.col(EVENT).is_in(list(self.negative)).fill_null(value=False) if self.negative else pl.lit(False)
        if self.min_value is None:
            return negative
        return negative | (pl.col(VALUE) < self.min_value).fill_null(value=False)

    def is_positive(self) -> pl.Expr:
        """Boolean, never null, over a frame with `event` and `value`."""
        if self.positive is None:
            return ~self.is_negative()
        return pl.col(EVENT).is_in(list(self.positive)).fill_null(value=False) & ~self.is_negative()

    def weight(self) -> pl.Expr:
        """Float32 over a frame with `event` and `value`: the value (1 where none was given) times the kind's weight."""
        value = pl.col(VALUE).fill_null(1.0)
        if self.weights:
            kinds, weights = list(self.weights.keys()), list(self.weights.values())
            value = value * pl.col(EVENT).replace_strict(kinds, weights, default=1.0, return_dtype=pl.Float64)
        return value.cast(pl.Float32)


@dataclass(frozen=True, slots=True)
class WorkspaceSchema:
    """The typed description of one workspace's data; kept in its `workspace.toml` and in every snapshot.

    Attributes:
        name: the workspace's name.
        clock: whether events carry real times; False when there is only an order.
        repeats: whether a user comes back to the same item (groceries do, films do not).
        baskets: whether events of one user with the same time are one basket; needs clock and repeats. It shapes
            evaluation, not feature rows.
        events: what an event means.
        user_columns: profile columns and their types, in order.
        item_columns: item columns and their types, in order.
        title: the item column shown to people, None when items have only ids.
    """

    name: str
    clock: bool = True
    repeats: bool = False
    baskets: bool = False
    events: EventMeaning = field(default_factory=EventMeaning)
    user_columns: Mapping[str, ColumnType] = field(default_factory=dict)
    item_columns: Mapping[str, ColumnType] = field(default_factory=dict)
    title: str | None = None

    def __post_init__(self) -> None:
        if self.title is not None and self.title not in self.item_columns:
            known = ", ".join(self.item_columns) or "none"
            raise ConfigError(f"The title column '{self.title}' is not among the item columns ({known}).")
        if self.baskets and not (self.clock and self.repeats):
            raise ConfigError(
                f"The schema of '{self.name}' says baskets, and not {'repeats' if self.clock else 'clock'}: baskets "
                "are events of equal real times, of items that users come back to. Set both, or baskets = false."
            )

    def users_frame_schema(self) -> pl.Schema:
        """Columns and types of the catalogue's users frame."""
        return pl.Schema({USER_ID: pl.String(), **{n: polars_type(t) for n, t in self.user_columns.items()}})

    def items_frame_schema(self) -> pl.Schema:
        """Columns and types of the catalogue's items frame."""
        return pl.Schema({ITEM_ID: pl.String(), **{n: polars_type(t) for n, t in self.item_columns.items()}})

    @property
    def category_columns(self) -> tuple[str, ...]:
        """The item columns that say what an item belongs to: categorical and list ones, but for the title."""
        kinds = self.item_columns.items()
        return tuple(name for name, kind in kinds if kind in ("categorical", "list") and name != self.title)

    def feature_meaning(self) -> dict[str, object]:
        """All that decides what a feature row says, in plain values: profile columns in order, what the fold counts."""
        return {
            "user_columns": [list(column) for column in self.user_columns.items()],
            "category_columns": [[name, self.item_columns[name]] for name in self.category_columns],
            "clock": self.clock,
            "repeats": self.repeats,
            "events": {name: list(own) if isinstance(own, tuple) else own for name, own in asdict(self.events).items()},
        }

    def save(self, path: Path) -> None:
        """Writes the schema as TOML, atomically."""
        from recsys.data.schema_toml import write_schema

        write_schema(self, path)

    @classmethod
    def load(cls, path: Path) -> WorkspaceSchema:
        """Reads a schema written by `save`.

        Raises:
            ConfigError: the file is missing, is not TOML, or holds unknown keys or wrong types; all are listed.
        """
        from recsys.data.schema_toml import read_schema

        return read_schema(path)
