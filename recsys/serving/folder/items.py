"""What is known of items now: titles, attributes and which may be shown.

A request that meets an outdated catalogue waits, in a thread, until it is read; the event loop never does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

import polars as pl

from recsys import columns
from recsys.data.schema import WorkspaceSchema

_AT_ONCE = 10_000


@dataclass(frozen=True, eq=False)
class Described:
    """What the catalogue says of its items as of one moment; another object after each change.

    Attributes:
        frame: item_id and the schema's item columns.
        schema: what the columns mean.
    """

    frame: pl.DataFrame
    schema: WorkspaceSchema

    @cached_property
    def titles(self) -> Mapping[str, str]:
        """What items are called, where they have a title."""
        title = self.schema.title
        if title is None:
            return {}
        named: dict[str, str] = {}
        for block in self.frame.drop_nulls(title).iter_slices(_AT_ONCE):  # other threads get their turn in between
            named.update(zip(block[columns.ITEM_ID].to_list(), block[title].to_list(), strict=True))
        return named


@dataclass(frozen=True, slots=True)
class Items:
    """The catalogue's items as of one moment.

    Attributes:
        described: what is known of them; it outlives changes of availability.
        unavailable: items that must not be recommended; another object after each change.
    """

    described: Described
    unavailable: frozenset[str] = field(default_factory=frozenset)

    @property
    def frame(self) -> pl.DataFrame:
        """item_id and the schema's item columns."""
        return self.described.frame

    @property
    def schema(self) -> WorkspaceSchema:
        """What the columns mean."""
        return self.described.schema

    @property
    def titles(self) -> Mapping[str, str]:
        """What items are called, where they have a title."""
        return self.described.titles


class ItemSource(Protocol):
    """Says what is known of items now."""

    def current(self) -> Items:
        """The items now; what has changed is read first, which may take seconds."""
        ...

    def at_hand(self) -> Items | None:
        """The items now, at once; None where something of them has to be read first."""
        ...


class NoItems:
    """A service that knows nothing of items but their ids."""

    def __init__(self) -> None:
        schema = WorkspaceSchema(name="nothing")
        self._items = Items(Described(pl.DataFrame(schema=schema.items_frame_schema()), schema))

    def current(self) -> Items:
        return self._items

    def at_hand(self) -> Items:
        return self._items
