"""What differs between two states of a catalogue, as far as feature rows are made of it."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from recsys.columns import ITEM_ID, USER_ID
from recsys.data.catalogue import Catalogue


def changed_users(before: Catalogue, after: Catalogue) -> list[str]:
    """Users who are new in the later catalogue, or have another profile there."""
    return _changed(before.users, after.users, USER_ID, before.users.columns)


def changed_items(before: Catalogue, after: Catalogue) -> list[str]:
    """Items whose categories differ in the later catalogue; those that are new there and belong to none do not."""
    return _changed(before.items, after.items, ITEM_ID, (ITEM_ID, *after.schema.category_columns), new=False)


def _changed(
    before: pl.DataFrame, after: pl.DataFrame, key: str, names: Sequence[str], *, new: bool = True
) -> list[str]:
    was = {name: f"before {name}" for name in names}
    both = after.select(names).join(
        before.select(pl.col(key), *(pl.col(name).alias(was[name]) for name in names)),
        on=key,
        how="left",
        maintain_order="left",
    )
    values = [name for name in names if name != key]
    differs = pl.any_horizontal(pl.lit(value=False), *(pl.col(name).ne_missing(pl.col(was[name])) for name in values))
    unknown = pl.col(was[key]).is_null() if new else pl.lit(value=False)
    return both.filter(differs | unknown)[key].to_list()
