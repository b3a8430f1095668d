"""Writes items into the workspace's catalogue while services run, as an import does: durable, one writer at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import polars as pl

from recsys.columns import ITEM_ID, USER_ID
from recsys.data.availability import save_unavailable_items, unavailable_items
from recsys.data.catalogue import Catalogue
from recsys.data.catalogue_differences import changed_items
from recsys.data.schema import WorkspaceSchema
from recsys.events.catalogue_changes import CatalogueChanges
from recsys.events.database import Database
from recsys.events.log import EventLog
from recsys.workspace import Workspace

_Changed = Callable[[Catalogue], Catalogue]
_Hidden = Callable[[Catalogue, frozenset[str]], frozenset[str]]
_NO_EVENTS = pl.DataFrame(schema={USER_ID: pl.String(), ITEM_ID: pl.String()})


class ItemChanges:
    """Changes of one workspace's items. Every process of the workspace sees them at its next request.

    Args:
        workspace: whose catalogue.
    """

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._database = Database(workspace.event_log)
        self._changes = CatalogueChanges(workspace.event_log)
        self._log = EventLog(workspace.event_log)

    def put(self, item_id: str, attributes: Mapping[str, object] | None, available: bool | None) -> None:
        """Stores an item.

        Args:
            item_id: the item; one that the catalogue lacks joins it, available unless said otherwise.
            attributes: all its columns in their one form; None leaves those that are there.
            available: whether it may be recommended; None leaves it.

        Raises:
            RecsysError: the catalogue cannot be read.
        """

        def changed(before: Catalogue) -> Catalogue:
            known = item_id in before.items[ITEM_ID]
            if known and attributes is None:
                return before
            row = _row(item_id, attributes or {}, before.schema)
            return before.updated(before.users, row, _NO_EVENTS)

        def hidden(before: Catalogue, now: frozenset[str]) -> frozenset[str]:
            shown = available or (available is None and item_id not in before.items[ITEM_ID])
            return now - {item_id} if shown else now | {item_id} if available is False else now

        self._change(changed, hidden)

    def remove(self, item_id: str) -> None:
        """Takes an item out of the catalogue; it is not recommended any more, also where a model knows it.

        Raises:
            RecsysError: the catalogue cannot be read.
        """

        def changed(before: Catalogue) -> Catalogue:
            return Catalogue(before.users, before.items.filter(pl.col(ITEM_ID) != item_id), before.schema)

        self._change(changed, lambda before, now: now | {item_id})

    def _change(self, changed: _Changed, hidden: _Hidden) -> None:
        """Announced to readers of rows where they feel it, which makes everybody's count as outdated meanwhile."""
        with self._database.writing():
            change = self._planned(changed, hidden)
            if not change.felt:
                change.write(self._workspace)
                return
        with self._changes.making() as concerned:
            change = self._planned(changed, hidden)
            concerned.everybody = change.felt
            change.write(self._workspace)

    def _planned(self, changed: _Changed, hidden: _Hidden) -> _Change:
        before, now = Catalogue.load_items(self._workspace), unavailable_items(self._workspace)
        after = changed(before)
        felt = after is not before and not _different(before, after).isdisjoint(self._log.items())
        return _Change(before, after, now, hidden(before, now), felt)


@dataclass(frozen=True, slots=True)
class _Change:
    """What is about to be written; `felt` where feature rows are made of what it changes."""

    before: Catalogue
    after: Catalogue
    hidden_before: frozenset[str]
    hidden_after: frozenset[str]
    felt: bool

    def write(self, workspace: Workspace) -> None:
        """What becomes unavailable does so first, what becomes available last: nothing is shown half made."""
        if self.hidden_after - self.hidden_before:
            save_unavailable_items(workspace, self.hidden_after)
        if self.after is not self.before:
            self.after.save_items(workspace)
        if self.hidden_before - self.hidden_after:
            save_unavailable_items(workspace, self.hidden_after)


def _different(before: Catalogue, after: Catalogue) -> set[str]:
    """Items whose categories are others, or that are there no more."""
    return {*changed_items(before, after), *set(before.items[ITEM_ID]).difference(after.items[ITEM_ID])}


def _row(item_id: str, attributes: Mapping[str, object], schema: WorkspaceSchema) -> pl.DataFrame:
    own = {name: list(value) if isinstance(value, tuple) else value for name, value in attributes.items()}
    types = schema.items_frame_schema()
    return pl.DataFrame({name: [item_id if name == ITEM_ID else own.get(name)] for name in types}, schema=types)
