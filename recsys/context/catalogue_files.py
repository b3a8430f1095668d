"""What feature rows take from the catalogue's files: users' profiles and items' categories, as they are now."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import polars as pl

from recsys import columns
from recsys.context.rows import profile_fields
from recsys.data.categories import ItemCategories
from recsys.data.schema import WorkspaceSchema
from recsys.errors import DataError

_Signature = tuple[int, int, int]


class CategoryFile:
    """The categories of a workspace's items. Kept in memory as long as the file is the same one.

    Args:
        path: the catalogue's items file; nothing is known of items while it is missing.
        schema: the workspace's schema.
    """

    def __init__(self, path: Path, schema: WorkspaceSchema) -> None:
        self.path = path
        self.schema = schema
        self._reading = threading.Lock()
        self._kept: tuple[_Signature | None, ItemCategories] = (None, ItemCategories.none())

    def current(self) -> ItemCategories:
        """The categories as the file has them now.

        Raises:
            DataError: the file is damaged.
        """
        if not self.schema.category_columns:
            return ItemCategories.none()
        with self._reading:
            signature = _signature(self.path)
            if signature is None:
                return ItemCategories.none()
            if self._kept[0] != signature:
                items = read_catalogue_file(self.path, self.schema.items_frame_schema())
                self._kept = (signature, ItemCategories.of(items, self.schema))
            return self._kept[1]


def read_profiles(path: Path, schema: WorkspaceSchema, user_ids: pl.DataFrame | None) -> pl.DataFrame:
    """user_id and the profile under its feature names.

    Args:
        path: the catalogue's users file; a missing one knows nobody.
        schema: names the profile columns; a column that the file lacks, because the workspace has another schema by
            now, is null.
        user_ids: a frame with user_id; None: everybody.

    Raises:
        DataError: the file is damaged.
    """
    types = schema.users_frame_schema()
    if not path.is_file():
        return pl.DataFrame(schema=types).rename(profile_fields(schema))
    return read_catalogue_file(path, types, user_ids).rename(profile_fields(schema))


def read_catalogue_file(path: Path, types: pl.Schema, ids: pl.DataFrame | None = None) -> pl.DataFrame:
    """Columns of a catalogue file, all or those of some ids (a frame with the first of the columns).

    Raises:
        DataError: the file is damaged.
    """
    key = next(iter(types))
    with _opened(path) as opened:
        file = pl.scan_parquet(opened)
        there = file.collect_schema()
        if ids is not None:
            ends = (pl.lit(ids[key].min(), pl.String), pl.lit(ids[key].max(), pl.String))
            file = file.filter(pl.col(key).is_between(*ends))  # leaves out whole row groups: a catalogue is sorted
            file = file.join(ids.lazy(), on=key, how="semi")
        return file.select(_column(name, dtype, there) for name, dtype in types.items()).collect()


def next_user_ids(path: Path, after: str | None, number: int) -> list[str]:
    """The next user ids of the catalogue's users file in order, at most `number`; None begins with the first.

    Raises:
        DataError: the file is damaged.
    """
    if not path.is_file():
        return []
    with _opened(path) as opened:
        listed = pl.scan_parquet(opened).select(columns.USER_ID)
        listed = listed if after is None else listed.filter(pl.col(columns.USER_ID) > after)
        return listed.unique().bottom_k(number, by=columns.USER_ID).collect()[columns.USER_ID].to_list()


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    """The file as it is at this moment: opened by its path, it could be another one between its footer and its rows."""
    try:
        with path.open("rb") as file:
            yield file
    except (OSError, pl.exceptions.PolarsError) as error:
        raise DataError(
            f"The catalogue file {path} is damaged: {error}. Import the data again into this workspace "
            "(recsys data import) to write it anew."
        ) from error


def _column(name: str, dtype: pl.DataType, there: pl.Schema) -> pl.Expr:
    if there.get(name) == dtype:
        return pl.col(name)
    if name in (columns.USER_ID, columns.ITEM_ID):
        raise pl.exceptions.ColumnNotFoundError(f"it has no column '{name}' of type {dtype}")
    return pl.lit(None, dtype=dtype).alias(name)


def _signature(path: Path) -> _Signature | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
