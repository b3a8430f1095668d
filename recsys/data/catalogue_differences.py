"""What differs between two states of a catalogue, as far as feature rows are made of it."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from recsys.columns import ITEM_ID, USER_ID
from recsys.data.catalogue import Catalogue


def changed_users(before: Catalogue, after: Catalogue) -> list[str]:
    """Users who have another profile in the later catalogue; of one who is new there, any profile is another."""
    return _changed(before.users, after.users, USER_ID, tuple(after.schema.user_columns))


def changed_items(before: Catalogue, after: Catalogue) -> list[str]:
    """Items that belong to other categories in the later catalogue, likewise."""
    return _changed(before.items, after.items, ITEM_ID, after.schema.category_columns)


def _changed(before: pl.DataFrame, after: pl.DataFrame, key: str, names: Sequence[str]) -> list[str]:
    was = {name: f"before {name}" for name in names}
    former = before.select(key, *(pl.col(name).alias(own) for name, own in was.items()))
    both = after.select(key, *names).join(former, on=key, how="left", maintain_order="left")
    differs = (pl.col(name).ne_missing(pl.col(own)) for name, own in was.items())
    return both.filter(pl.any_horizontal(pl.lit(value=False), *differs))[key].to_list()
