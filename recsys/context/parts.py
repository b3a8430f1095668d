"""The offline rows' parquet parts, whole or not there: replaced together, or rewritten without some rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from pathlib import Path
from uuid import uuid4

import polars as pl

from recsys.columns import ITEM_ID, LOG_POSITION, USER_ID
from recsys.durable import sync
from recsys.events.lease import Guard
from recsys.failpoints import Failpoint, reached

ROW_GROUP = 4_096
WRITING = ".writing"


def replace_parts(folder: Path, chunks: Iterable[pl.DataFrame], guard: Guard = nullcontext) -> list[Path]:
    """Replaces all parquet parts of a folder by new ones.

    The new parts appear when all of them are written, then the older ones go: a reader sees the old rows, both, or the
    new ones. Whoever is killed in between leaves rows of both, and the next replacement clears up.

    Args:
        folder: made when missing.
        chunks: the content of one part each; only one is held at a time.
        guard: entered once the parts are written, for the moment in which they take the others' place.

    Returns:
        The new parts.
    """
    folder.mkdir(parents=True, exist_ok=True)
    batch = uuid4().hex
    written: list[Path] = []
    try:
        for number, chunk in enumerate(chunks):
            writing = folder / f"rows-{batch}-{number:06}{WRITING}"
            written.append(writing)
            chunk.write_parquet(writing, row_group_size=ROW_GROUP)
            sync(writing)
        with guard():
            older = [path for path in folder.iterdir() if path.suffix in (".parquet", WRITING) and path not in written]
            reached(Failpoint.MATERIALISE_PART_WRITTEN)
            parts = [writing.replace(writing.with_suffix(".parquet")) for writing in written]
            sync(folder)
            reached(Failpoint.MATERIALISE_PART_ADDED)
            for path in older:
                path.unlink(missing_ok=True)
    finally:
        for writing in written:
            writing.unlink(missing_ok=True)
    return parts


def height(part: Path) -> int:
    """How many rows a parquet part has, from its footer."""
    return int(pl.scan_parquet(part).select(pl.len()).collect().item())


def remove_users(file: Path, user_ids: Sequence[str], guard: Guard = nullcontext) -> int:
    """Rewrites a parquet file without these users' rows, in one step; a file that has none of them stays untouched.

    Args:
        file: a parquet file, with or without a column user_id; its own metadata are kept.
        user_ids: whose rows.
        guard: entered for the moment in which the file is replaced.

    Returns:
        How many rows went.
    """
    return _remove_rows(file, USER_ID, pl.col(USER_ID).is_in(list(user_ids)), guard)


def remove_items(file: Path, item_ids: Sequence[str], guard: Guard = nullcontext) -> int:
    """Rewrites a parquet file without these items' rows, likewise."""
    return _remove_rows(file, ITEM_ID, pl.col(ITEM_ID).is_in(list(item_ids)), guard)


def remove_folded_before(file: Path, position: int, guard: Guard = nullcontext) -> int:
    """Rewrites a parquet file without the rows that were folded at an earlier log position, likewise."""
    return _remove_rows(file, LOG_POSITION, pl.col(LOG_POSITION) < position, guard)


def _remove_rows(file: Path, column: str, gone: pl.Expr, guard: Guard) -> int:
    if column not in pl.read_parquet_schema(file):
        return 0
    rows = pl.read_parquet(file)
    kept = rows.filter(~gone.fill_null(value=False))
    if kept.height == rows.height:
        return 0
    metadata = {key: text for key, text in pl.read_parquet_metadata(file).items() if key != "ARROW:schema"}
    writing = file.with_suffix(f".{uuid4().hex}{WRITING}")
    try:
        kept.write_parquet(writing, row_group_size=ROW_GROUP, metadata=metadata)
        with guard():
            sync(writing)
            writing.replace(file)
            sync(file.parent)
    finally:
        writing.unlink(missing_ok=True)
    return rows.height - kept.height
