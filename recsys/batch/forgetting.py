"""Takes users out of recommendations that a batch wrote earlier. Knows the sink's files, not why somebody goes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import orjson

from recsys.batch.sink import SUCCESS
from recsys.context.parts import height, remove_users
from recsys.events.lease import Guard
from recsys.failpoints import Failpoint, reached
from recsys.registry.durable import TEMPORARY_PREFIX, replace_file, sync


def forget_users(folder: Path, user_ids: Sequence[str], guard: Guard) -> int:
    """Rewrites a batch's partitions without these users, and removes what a broken run left.

    `_SUCCESS` stays, its numbers of rows brought up to date, also when an interrupted call left them behind: the
    folder is as whole as before.

    Args:
        folder: one run's folder.
        user_ids: who goes.
        guard: entered whenever files change.

    Returns:
        How many rows went.
    """
    removed = sum(remove_users(path, user_ids, guard) for path in sorted(folder.glob("*.parquet")))
    reached(Failpoint.DELETE_PARTITIONS_CLEAN)
    with guard():
        for path in folder.glob(f"{TEMPORARY_PREFIX}*"):
            path.unlink(missing_ok=True)
        _correct(folder)
        sync(folder)
    return removed


def _correct(folder: Path) -> None:
    """Has the manifest, where there is one, say how many rows the files have."""
    manifest = folder / SUCCESS
    if not manifest.is_file():
        return
    about = orjson.loads(manifest.read_bytes())
    counted = [
        part | {"rows": height(file)} if (file := folder / part["file"]).is_file() else part
        for part in about["partitions"]
    ]
    corrected = about | {"rows": sum(part["rows"] for part in counted), "partitions": counted}
    if corrected != about:
        replace_file(manifest, orjson.dumps(corrected, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
