"""The categories of items: the catalogue's categorical and list columns, looked up by item id."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import polars as pl

from recsys.columns import ITEM_ID
from recsys.data.schema import WorkspaceSchema

_AT_ONCE = 10_000


@dataclass(frozen=True, eq=False)
class ItemCategories:
    """What each item belongs to.

    Attributes:
        item_ids: sorted, each once.
        values: one frame row an item, in the order of `item_ids`; one List(String) column an attribute, named like the
            catalogue's column, without nulls, empty strings and repetitions.
    """

    item_ids: pl.Series
    values: pl.DataFrame

    @classmethod
    def of(cls, items: pl.DataFrame, schema: WorkspaceSchema) -> Self:
        """The categories in a catalogue.

        Args:
            items: item_id and the schema's item columns; columns that it lacks hold nothing.
            schema: says which columns are categories (`WorkspaceSchema.category_columns`).
        """
        ordered = items.unique(ITEM_ID, keep="first").sort(ITEM_ID)
        there = [name for name in schema.category_columns if name in ordered.columns]
        return cls(ordered[ITEM_ID], ordered.select(_members(name, ordered.schema[name]) for name in there))

    @classmethod
    def none(cls) -> Self:
        """Of no item at all."""
        return cls(pl.Series(ITEM_ID, [], dtype=pl.String), pl.DataFrame())

    @property
    def attributes(self) -> Sequence[str]:
        return self.values.columns

    @cached_property
    def by_item(self) -> Mapping[str, Mapping[str, Sequence[str]]]:
        """For each attribute what each item belongs to; for looking up items one at a time.

        Items that belong to the same share one object: a large catalogue would keep the garbage collector busy.
        """
        found: dict[str, dict[str, Sequence[str]]] = {name: {} for name in self.attributes}
        shared: dict[tuple[str, ...], tuple[str, ...]] = {}
        for start in range(0, len(self.item_ids), _AT_ONCE):  # other threads get their turn in between
            item_ids = self.item_ids[start : start + _AT_ONCE].to_list()
            for name, own in found.items():
                listed = self.values[name][start : start + _AT_ONCE].fill_null([]).to_list()
                members = (shared.setdefault(one, one) for one in map(tuple, listed))
                own.update(zip(item_ids, members, strict=True))
        return found

    def of_items(self, item_ids: pl.Series) -> pl.DataFrame:
        """The columns of `values`, one row an item asked for, in that order; null for an item of no catalogue."""
        if self.item_ids.is_empty() or item_ids.is_empty():
            return pl.DataFrame(schema=self.values.schema).clear(item_ids.len())
        places = self.item_ids.search_sorted(item_ids).clip(0, self.item_ids.len() - 1)
        found = self.item_ids.gather(places) == item_ids
        return self.values[places].select(pl.when(found).then(pl.col(name)).alias(name) for name in self.attributes)


def _members(name: str, dtype: pl.DataType) -> pl.Expr:
    column = pl.col(name) if isinstance(dtype, pl.List) else pl.concat_list(pl.col(name))
    some = pl.element().is_not_null() & (pl.element() != "")
    return column.list.eval(pl.element().filter(some)).list.unique(maintain_order=True)
