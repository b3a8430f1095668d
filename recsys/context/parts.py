"""Files that are whole or not there: the offline rows' parquet parts and Feast's configuration. Knows no Feast."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from uuid import uuid4

import polars as pl

ROW_GROUP = 4_096
WRITING = ".writing"


def replace_parts(folder: Path, chunks: Iterable[pl.DataFrame]) -> list[Path]:
    """Replaces all parquet parts of a folder by new ones.

    The new parts appear when all of them are written, then the older ones go: a reader sees the old rows, both, or the
    new ones. Whoever is killed in between leaves rows of both, and the next replacement clears up.

    Args:
        folder: made when missing.
        chunks: the content of one part each; only one is held at a time.

    Returns:
        The new parts.
    """
    folder.mkdir(parents=True, exist_ok=True)
    older = [path for path in folder.iterdir() if path.suffix in (".parquet", WRITING)]
    batch = uuid4().hex
    written: list[Path] = []
    try:
        for number, chunk in enumerate(chunks):
            writing = folder / f"rows-{batch}-{number:06}{WRITING}"
            written.append(writing)
            chunk.write_parquet(writing, row_group_size=ROW_GROUP)
            _flush(writing)
        parts = [writing.replace(writing.with_suffix(".parquet")) for writing in written]
        _flush(folder)
    finally:
        for writing in written:
            writing.unlink(missing_ok=True)
    for path in older:
        path.unlink(missing_ok=True)
    return parts


def height(part: Path) -> int:
    """How many rows a parquet part has, from its footer."""
    return int(pl.scan_parquet(part).select(pl.len()).collect().item())


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
