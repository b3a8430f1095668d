"""Polars types in Feast's words, for the definitions in features/. Importing it imports Feast."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl
from feast import Field
from feast.types import Array, Bool, FeastType, Float32, Float64, Int64, String

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
