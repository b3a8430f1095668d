"""Files that are whole or not there: the offline rows' parquet parts and Feast's configuration. Knows no Feast."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from uuid import uuid4

import polars as pl

ROW_GROUP = 4_096


def replace_parts(folder: Path, rows: pl.DataFrame, guard: AbstractContextManager[None] | None = None) -> Path:
    """Replaces all parquet parts of a folder by one new part.

    The new part appears in one step, then the older ones go: a reader sees the old rows, both, or the new ones.

    Args:
        folder: made when missing.
        rows: the part's content.
        guard: entered once the part is written, for the moment in which it takes the others' place.

    Returns:
        The new part.
    """
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / f"rows-{uuid4().hex}.parquet"
    writing = part.with_suffix(".writing")
    try:
        rows.write_parquet(writing, row_group_size=ROW_GROUP)
        with guard or nullcontext():
            older = list(folder.glob("*.parquet"))
            _appear(writing, part)
            for path in older:
                path.unlink(missing_ok=True)
    finally:
        writing.unlink(missing_ok=True)
    return part


def write_text(path: Path, text: str) -> None:
    """Writes a small file in one step; its folder is made when missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    writing = path.with_name(f"{path.name}.{uuid4().hex}.writing")
    try:
        writing.write_text(text, encoding="utf-8")
        _appear(writing, path)
    finally:
        writing.unlink(missing_ok=True)


def _appear(writing: Path, path: Path) -> None:
    _flush(writing)
    writing.replace(path)
    _flush(path.parent)


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
