"""What is known of items now: titles, attributes and which may be shown. Requests look at it, and never wait for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

import polars as pl

from recsys import columns
from recsys.data.schema import WorkspaceSchema


@dataclass(frozen=True)
class Items:
    """The catalogue's items as of one moment; another object after each change.

    Attributes:
        frame: item_id and the schema's item columns.
        schema: what the columns mean.
        unavailable: items that must not be recommended.
    """

    frame: pl.DataFrame
    schema: WorkspaceSchema
    unavailable: frozenset[str] = field(default_factory=frozenset)

    @cached_property
    def titles(self) -> Mapping[str, str]:
        """What items are called, where they have a title."""
        title = self.schema.title
        if title is None:
            return {}
        named = self.frame.drop_nulls(title)
        return dict(zip(named[columns.ITEM_ID].to_list(), named[title].to_list(), strict=True))


class ItemSource(Protocol):
    """Says what is known of items now."""

    def current(self) -> Items: ...


class NoItems:
    """A service that knows nothing of items but their ids."""

    def __init__(self) -> None:
        schema = WorkspaceSchema(name="nothing")
        self._items = Items(pl.DataFrame(schema=schema.items_frame_schema()), schema)

    def current(self) -> Items:
        return self._items
