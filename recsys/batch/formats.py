"""The kinds of file that a partition can be: how each is written whole, what it says of itself, how users leave it.

A parquet file carries its record in itself; CSV and JSON lines have it in a hidden file beside them.
"""

from __future__ import annotations

import os
import re
import uuid
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Literal, Protocol

import orjson
import polars as pl

from recsys import columns
from recsys.context.parts import remove_users
from recsys.durable import TEMPORARY_PREFIX, replace_file, sync
from recsys.events.lease import Guard

OUTPUT_SCHEMA = pl.Schema(
    {
        columns.USER_ID: pl.String(),
        columns.RANK: pl.Int32(),
        columns.ITEM_ID: pl.String(),
        columns.SCORE: pl.Float32(),
        columns.MODEL_VERSION: pl.String(),
        columns.AS_OF: pl.Datetime("us", "UTC"),
    }
)
FormatName = Literal["parquet", "csv", "jsonl"]
Record = Mapping[str, str]
"""What a partition says of itself: the key of what it was made from, and counts."""
_NAME = re.compile(r"part-\d{5,}")
"""Of ours, without the suffix; other tools write `part-0` or `part-00000-8f3a…`, and these are theirs."""
_SIZE = "recsys.bytes"
_AS_TEXT = pl.col(columns.AS_OF).dt.strftime("%Y-%m-%dT%H:%M:%S%.6fZ")
_TEXT_SCHEMA = pl.Schema({**OUTPUT_SCHEMA, columns.AS_OF: pl.String()})


class PartitionFormat(Protocol):
    """One kind of file."""

    @property
    def suffix(self) -> str: ...

    def write(self, frame: pl.DataFrame, path: Path, record: Record) -> None:
        """Puts a file in its place in one step, on disk when this returns; where that fails there is no trace of it."""
        ...

    def record(self, path: Path) -> Record | None:
        """What the file says of itself; None where it is missing, damaged or cut off."""
        ...

    def scan(self, path: Path) -> pl.LazyFrame:
        """Its rows."""
        ...

    def remove_users(self, path: Path, user_ids: Sequence[str], guard: Guard = nullcontext) -> int:
        """Rewrites the file without these users' rows, in one step under the guard; says how many rows went."""
        ...

    def remove(self, path: Path) -> None:
        """Removes the file and what belongs to it."""
        ...


class Parquet:
    """Compressed columns; types as in OUTPUT_SCHEMA."""

    suffix = ".parquet"

    def write(self, frame: pl.DataFrame, path: Path, record: Record) -> None:
        """See `PartitionFormat`."""
        unfinished = _unfinished(path)
        try:
            frame.write_parquet(unfinished, metadata=dict(record))
            _put(unfinished, path)
        finally:
            unfinished.unlink(missing_ok=True)

    def record(self, path: Path) -> Record | None:
        """See `PartitionFormat`."""
        try:
            return pl.read_parquet_metadata(path)
        except (OSError, pl.exceptions.PolarsError):
            return None

    def scan(self, path: Path) -> pl.LazyFrame:
        """See `PartitionFormat`."""
        return pl.scan_parquet(path)

    def remove_users(self, path: Path, user_ids: Sequence[str], guard: Guard = nullcontext) -> int:
        """See `PartitionFormat`."""
        return remove_users(path, user_ids, guard)

    def remove(self, path: Path) -> None:
        """See `PartitionFormat`."""
        path.unlink(missing_ok=True)


class Text:
    """CSV with a header, or one JSON object a line; moments are ISO 8601 text.

    Args:
        suffix: .csv or .jsonl.
    """

    def __init__(self, suffix: Literal[".csv", ".jsonl"]) -> None:
        self.suffix = suffix

    def write(self, frame: pl.DataFrame, path: Path, record: Record) -> None:
        """See `PartitionFormat`. A crash before the record is there leaves a file that is made again."""
        self._replace(frame.with_columns(_AS_TEXT), path, record, nullcontext)

    def record(self, path: Path) -> Record | None:
        """See `PartitionFormat`."""
        try:
            found: dict[str, str] = orjson.loads(_beside(path).read_bytes())
            return found if found[_SIZE] == str(path.stat().st_size) else None
        except (OSError, KeyError, TypeError, orjson.JSONDecodeError):
            return None

    def scan(self, path: Path) -> pl.LazyFrame:
        """See `PartitionFormat`."""
        if not path.stat().st_size:
            return pl.LazyFrame(schema=_TEXT_SCHEMA)
        scan = pl.scan_csv if self.suffix == ".csv" else pl.scan_ndjson
        return scan(path, schema=_TEXT_SCHEMA)

    def remove_users(self, path: Path, user_ids: Sequence[str], guard: Guard = nullcontext) -> int:
        """See `PartitionFormat`."""
        rows, record = self.scan(path).collect(), self.record(path)
        kept = rows.filter(~pl.col(columns.USER_ID).is_in(list(user_ids)))
        if kept.height < rows.height:
            self._replace(kept, path, record or {}, guard)
        return rows.height - kept.height

    def remove(self, path: Path) -> None:
        """See `PartitionFormat`."""
        _beside(path).unlink(missing_ok=True)
        path.unlink(missing_ok=True)

    def _replace(self, frame: pl.DataFrame, path: Path, record: Record, guard: Guard) -> None:
        unfinished = _unfinished(path)
        try:
            if self.suffix == ".csv":
                frame.write_csv(unfinished)
            else:
                frame.write_ndjson(unfinished)
            size = unfinished.stat().st_size
            with guard():
                _put(unfinished, path)
                replace_file(_beside(path), orjson.dumps({**record, _SIZE: str(size)}))
        finally:
            unfinished.unlink(missing_ok=True)


FORMATS: Mapping[FormatName, PartitionFormat] = {"parquet": Parquet(), "csv": Text(".csv"), "jsonl": Text(".jsonl")}


def partition_files(folder: Path) -> list[tuple[Path, PartitionFormat]]:
    """Every partition of a folder, with its format, by name."""
    found = [(path, form) for form in FORMATS.values() for path in folder.glob(f"part-*{form.suffix}")]
    return sorted((one for one in found if _NAME.fullmatch(one[0].stem)), key=lambda one: one[0].name)


def rows_in(path: Path) -> int:
    """How many rows a partition has."""
    [form] = [form for form in FORMATS.values() if form.suffix == path.suffix]
    return int(form.scan(path).select(pl.len()).collect().item())


def _put(unfinished: Path, path: Path) -> None:
    sync(unfinished)
    os.replace(unfinished, path)
    sync(path.parent)


def _unfinished(path: Path) -> Path:
    return path.with_name(f"{TEMPORARY_PREFIX}{path.name}-{uuid.uuid4().hex[:12]}")


def _beside(path: Path) -> Path:
    """Readers of a folder skip names that begin with a dot."""
    return path.with_name(f".{path.name}.json")
