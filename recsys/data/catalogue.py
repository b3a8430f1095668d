"""The catalogue of a workspace: every user and item it knows, with their typed columns. Two parquet files."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from recsys.columns import ITEM_ID, USER_ID
from recsys.data.schema import WorkspaceSchema
from recsys.durable import sync
from recsys.errors import DataError
from recsys.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Users and items, one row each, sorted by id.

    Attributes:
        users: user_id and the schema's user columns; what is not known is null.
        items: item_id and the schema's item columns; what is not known is null.
        schema: the workspace's schema.
    """

    users: pl.DataFrame
    items: pl.DataFrame
    schema: WorkspaceSchema

    @classmethod
    def empty(cls, schema: WorkspaceSchema) -> Catalogue:
        """A catalogue of nobody and nothing."""
        return cls(
            pl.DataFrame(schema=schema.users_frame_schema()), pl.DataFrame(schema=schema.items_frame_schema()), schema
        )

    @classmethod
    def load(cls, workspace: Workspace) -> Catalogue:
        """The catalogue of an existing workspace.

        Raises:
            ConfigError: the workspace's schema cannot be read.
            DataError: a catalogue file is missing, damaged or does not fit the schema.
        """
        schema = WorkspaceSchema.load(workspace.schema_file)
        return cls(
            users=_read(workspace.users_file, schema.users_frame_schema()),
            items=_read(workspace.items_file, schema.items_frame_schema()),
            schema=schema,
        )

    @classmethod
    def load_items(cls, workspace: Workspace) -> Catalogue:
        """The items alone, of however many users: `users` is empty, so keep changes with `save_items`.

        Raises:
            ConfigError: the workspace's schema cannot be read.
            DataError: the items' file is missing, damaged or does not fit the schema.
        """
        schema = WorkspaceSchema.load(workspace.schema_file)
        nobody = pl.DataFrame(schema=schema.users_frame_schema())
        return cls(nobody, _read(workspace.items_file, schema.items_frame_schema()), schema)

    def save_items(self, workspace: Workspace) -> None:
        """Writes the items' file alone, atomically; it is on the disk when this returns."""
        _write(self.items, workspace.items_file)

    def save(self, workspace: Workspace) -> None:
        """Writes both files, each atomically; they are on the disk when this returns."""
        _write(self.users, workspace.users_file)
        _write(self.items, workspace.items_file)

    def updated(self, users: pl.DataFrame, items: pl.DataFrame, events: pl.DataFrame) -> Catalogue:
        """This catalogue with newer rows over older ones, and a row of nulls for ids that only events know.

        Args:
            users: newer user rows (`schema.users_frame_schema()`).
            items: newer item rows (`schema.items_frame_schema()`).
            events: a frame with user_id and item_id.
        """
        return Catalogue(
            users=_updated(self.users, users, events, USER_ID),
            items=_updated(self.items, items, events, ITEM_ID),
            schema=self.schema,
        )

    def titles(self, item_ids: Sequence[str]) -> list[str]:
        """What to call these items, in the order asked; an item without a title is called by its id."""
        title = self.schema.title
        if title is None:
            return list(item_ids)
        wanted = pl.DataFrame({ITEM_ID: list(item_ids)}, schema={ITEM_ID: pl.String})
        named = wanted.join(self.items.select(ITEM_ID, title), on=ITEM_ID, how="left", maintain_order="left")
        return named.select(pl.coalesce(pl.col(title).cast(pl.String), pl.col(ITEM_ID))).to_series().to_list()


def _updated(older: pl.DataFrame, newer: pl.DataFrame, events: pl.DataFrame, key: str) -> pl.DataFrame:
    known = pl.concat([newer, older.join(newer, on=key, how="anti")])
    unknown = events.select(pl.col(key).unique()).join(known, on=key, how="anti")
    return pl.concat([known, unknown], how="diagonal").sort(key)


def _read(path: Path, schema: pl.Schema) -> pl.DataFrame:
    again = "Import the data again into this workspace (recsys data import) to write it anew."
    try:
        frame = pl.read_parquet(path)
    except FileNotFoundError:
        raise DataError(f"The catalogue file {path} is missing. {again}") from None
    except (OSError, pl.exceptions.PolarsError) as error:
        raise DataError(f"The catalogue file {path} is damaged: {error}. {again}") from error
    if frame.schema != schema:
        raise DataError(
            f"The catalogue file {path} holds {dict(frame.schema)}, the schema says {dict(schema)}. {again}"
        )
    return frame


def _write(frame: pl.DataFrame, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    frame.write_parquet(unfinished)
    sync(unfinished)
    unfinished.replace(path)
    sync(path.parent)
