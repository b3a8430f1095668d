"""Keeps deleted users out of recommendations: of those that a batch wrote earlier, and of those that it writes now."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import orjson

from recsys.batch.formats import partition_files, rows_in
from recsys.batch.sink import SUCCESS
from recsys.context.parts import WRITING
from recsys.durable import TEMPORARY_PREFIX, replace_file, sync
from recsys.events.lease import Guard
from recsys.events.log import EventLog
from recsys.events.removals import Removals
from recsys.failpoints import Failpoint, reached


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
    removed = sum(form.remove_users(path, user_ids, guard) for path, form in partition_files(folder))
    reached(Failpoint.DELETE_PARTITIONS_CLEAN)
    with guard():
        for leftover in (f"{TEMPORARY_PREFIX}*", f"part-*{WRITING}"):
            for path in folder.glob(leftover):
                path.unlink(missing_ok=True)
        _correct(folder)
        sync(folder)
    return removed


@contextmanager
def still_stored(event_log: Path, user_ids: Sequence[str], since: int) -> Iterator[list[str]]:
    """While the block runs nobody is deleted; yields those of the users who were not deleted since a log position.

    What the block puts in its place is therefore either without a deleted user, or there when the deletion begins, and
    `forget_users` finds it. Appends wait meanwhile, so the block should be short.

    Args:
        event_log: the log's file.
        user_ids: of whom something is about to be written.
        since: where the log stood before anything was read of them.
    """
    with EventLog(event_log).alone():
        deleted = set(Removals(event_log).deleted_after(user_ids, since))
        yield [user_id for user_id in user_ids if user_id not in deleted]


def _correct(folder: Path) -> None:
    """Has the manifest, where there is one, say how many rows the files have."""
    manifest = folder / SUCCESS
    if not manifest.is_file():
        return
    about = orjson.loads(manifest.read_bytes())
    counted = [
        part | {"rows": rows_in(file)} if (file := folder / part["file"]).is_file() else part
        for part in about["partitions"]
    ]
    corrected = about | {"rows": sum(part["rows"] for part in counted), "partitions": counted}
    if corrected != about:
        replace_file(manifest, orjson.dumps(corrected, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
