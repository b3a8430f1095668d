"""Ids out of files of people's own, a block at a time, so that memory does not grow with the file."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TextIO

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from recsys.data.ids import canonical_ids
from recsys.errors import DataError

BLOCK = 50_000


def id_blocks(path: Path, column: str, block: int = BLOCK) -> Iterator[list[str]]:
    """Ids in the file's order, as often as they stand there.

    Args:
        path: .parquet or .csv with such a column; anything else is read as one id a line.
        column: `user_id` or `item_id`.
        block: how many rows are held at once.

    Raises:
        DataError: the file is missing or damaged, has no such column, or holds empty ids or none at all.
    """
    found = 0
    try:
        for ids in _blocks(path, column, block):
            if not all(ids):
                raise DataError(f"The file {path} holds an empty {column}; leave such rows out.")
            found += len(ids)
            yield ids
    except (OSError, UnicodeDecodeError, csv.Error, pa.ArrowException, pl.exceptions.PolarsError) as error:
        raise DataError(f"The file {path} cannot be read: {error}") from error
    if not found:
        raise DataError(f"The file {path} holds no {column}. Give one id a line, or a column {column}.")


def _blocks(path: Path, column: str, block: int) -> Iterator[list[str]]:
    if path.suffix == ".parquet":
        yield from _of_parquet(path, column, block)
        return
    with path.open(encoding="utf-8-sig", newline="") as file:
        ids = _of_csv(path, file, column) if path.suffix == ".csv" else _of_lines(file)
        while held := list(islice(ids, block)):
            yield held


def _of_parquet(path: Path, column: str, block: int) -> Iterator[list[str]]:
    with pq.ParquetFile(path) as file:
        _refuse_without(path, column, file.schema_arrow.names)
        for batch in file.iter_batches(block, columns=[column]):
            yield canonical_ids(pl.DataFrame(batch)[column]).fill_null("").to_list()


def _of_csv(path: Path, file: TextIO, column: str) -> Iterator[str]:
    rows = csv.reader(file)
    names = next(rows, [])
    _refuse_without(path, column, names)
    at = names.index(column)
    return (row[at] if at < len(row) else "" for row in rows if row)


def _of_lines(file: TextIO) -> Iterator[str]:
    return (text for line in file if (text := line.strip()))


def _refuse_without(path: Path, column: str, names: list[str]) -> None:
    if column not in names:
        raise DataError(f"The file {path} has no column {column} (it has: {', '.join(names) or 'nothing'}).")
