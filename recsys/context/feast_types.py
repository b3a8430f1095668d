"""What the definitions in features/ share: types in Feast's words, the source of offline rows. It imports Feast."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

import polars as pl
from feast import Field, FileSource
from feast.data_format import ParquetFormat
from feast.types import Array, Bool, FeastType, Float32, Float64, Int64, String

from recsys.columns import CREATED_TIMESTAMP, EVENT_TIMESTAMP

OWNER = "recsys"
NO_EXPIRY = timedelta(0)
"""A row holds until another one replaces it: readers compare its log position with the event log, not its age."""

_TYPES: Mapping[pl.DataType, FeastType] = {
    pl.String(): String,
    pl.Int64(): Int64,
    pl.Float64(): Float64,
    pl.Boolean(): Bool,
    pl.List(pl.String()): Array(String),
    pl.List(pl.Int64()): Array(Int64),
    pl.List(pl.Float32()): Array(Float32),
}


def fields(columns: Mapping[str, pl.DataType]) -> list[Field]:
    """Feast's fields for typed columns, in that order."""
    return [Field(name=name, dtype=_TYPES[dtype]) for name, dtype in columns.items()]


def row_source(name: str, folder: Path, description: str, tags: Mapping[str, str]) -> FileSource:
    """Offline rows of one version: every parquet part in one folder, which is absolute."""
    return FileSource(
        name=name,
        path=f"{folder}/*.parquet",
        file_format=ParquetFormat(),
        timestamp_field=EVENT_TIMESTAMP,
        created_timestamp_column=CREATED_TIMESTAMP,
        description=description,
        tags=dict(tags),
        owner=OWNER,
    )
