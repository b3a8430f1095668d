"""What a workspace that comes from a backup takes over from the one that gives way to it.

Deletions, so that nobody comes back; the lease's token and the log's position, so that neither is ever given twice: a
process that was paused with rows of the former log in its hands can write them nowhere.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import polars as pl

from recsys.columns import USER_ID
from recsys.context import fence
from recsys.context.layout import online_database
from recsys.events.impressions import ImpressionLog
from recsys.events.lease import FoldLease
from recsys.events.log import EventLog
from recsys.events.removals import Removals
from recsys.failpoints import Failpoint, reached
from recsys.workspace import Workspace


def take_over(workspace: Workspace, restored: Path) -> int:
    """Makes a restored folder the successor of a workspace that nobody changes meanwhile.

    Args:
        workspace: what gives way; it is only read.
        restored: the folder that will be the workspace's root.

    Returns:
        How many users in the backup were deleted from the workspace since; their traces outside the log are cleaned
        once the folder is in place.
    """
    log = _inside(workspace, workspace.event_log, restored)
    if not workspace.event_log.is_file() or not log.is_file():
        return 0
    own = EventLog(log)
    own.move_on_to(EventLog(workspace.event_log).position())  # first, so that the deletions' positions come after it
    catalogue = _inside(workspace, workspace.users_file, restored)
    shown = ImpressionLog(_inside(workspace, workspace.impressions, restored), log)
    deleted = _take_over_deletions(workspace, log, catalogue, shown)
    lease = FoldLease(log)
    token = lease.surpass(FoldLease(workspace.event_log))
    _raise_fence(_inside(workspace, online_database(workspace), restored), token)
    for opened in (own, lease, shown):
        opened.close()
    reached(Failpoint.RESTORE_TAKEN_OVER)
    return deleted


def _take_over_deletions(workspace: Workspace, log: Path, catalogue: Path, shown: ImpressionLog) -> int:
    events, removals = EventLog(log), Removals(log)
    users = [events.read().select(USER_ID), shown.users()]
    if catalogue.is_file():
        users.append(pl.read_parquet(catalogue, columns=[USER_ID]))
    everybody = pl.concat(users).unique()[USER_ID].to_list()
    deleted = removals.take_over(Removals(workspace.event_log), everybody)
    for opened in (events, removals):
        opened.close()
    return len(deleted)


def _raise_fence(online: Path, token: int) -> None:
    """Shuts every holder of the former lease out of the restored rows before anybody can see them."""
    if not online.is_file():
        return
    with closing(sqlite3.connect(online, isolation_level=None)) as connection:
        fence.put_up(connection)
        with fence.fenced(connection, token):
            pass


def _inside(workspace: Workspace, path: Path, restored: Path) -> Path:
    return restored / path.relative_to(workspace.root)
