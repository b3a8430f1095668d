"""Takes users out of recommendations that a batch wrote earlier. Knows the sink's files, not why somebody goes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import orjson

from recsys.batch.sink import SUCCESS
from recsys.context.parts import remove_users
from recsys.durable import TEMPORARY_PREFIX, replace_file, sync
from recsys.events.lease import Guard


def forget_users(folder: Path, user_ids: Sequence[str], guard: Guard) -> int:
    """Rewrites a batch's partitions without these users, and removes what a broken run left.

    `_SUCCESS` stays, its numbers of rows brought up to date: the folder is as whole as before.

    Args:
        folder: one run's folder.
        user_ids: who goes.
        guard: entered whenever files change.

    Returns:
        How many rows went.
    """
    removed = {path.name: remove_users(path, user_ids, guard) for path in sorted(folder.glob("*.parquet"))}
    manifest = folder / SUCCESS
    with guard():
        for path in folder.glob(f"{TEMPORARY_PREFIX}*"):
            path.unlink(missing_ok=True)
        if any(removed.values()) and manifest.is_file():
            replace_file(manifest, _corrected(manifest.read_bytes(), removed))
        sync(folder)
    return sum(removed.values())


def _corrected(manifest: bytes, removed: dict[str, int]) -> bytes:
    about = orjson.loads(manifest)
    for part in about["partitions"]:
        part["rows"] -= removed.get(part["file"], 0)
    about["rows"] -= sum(removed.values())
    return orjson.dumps(about, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
