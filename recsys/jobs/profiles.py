"""The profiles in a workspace's catalogue of users who are deleted."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from recsys.columns import USER_ID
from recsys.context.parts import remove_users
from recsys.events.lease import Guard
from recsys.workspace import Workspace


def without_profile(workspace: Workspace, user_ids: Sequence[str]) -> set[str]:
    """Those of the users of whom the catalogue knows nothing."""
    file = workspace.users_file
    if not file.is_file():
        return set(user_ids)
    known = pl.scan_parquet(file).select(USER_ID).filter(pl.col(USER_ID).is_in(list(user_ids))).collect()
    return set(user_ids).difference(known[USER_ID])


def remove_profiles(workspace: Workspace, user_ids: Sequence[str], guard: Guard) -> None:
    """Rewrites the catalogue's users without these, under the lock that an import writes them under."""
    if not workspace.users_file.is_file():
        return
    with guard():
        remove_users(workspace.users_file, user_ids)
        for path in workspace.users_file.parent.glob(f".{workspace.users_file.name}.*"):
            path.unlink(missing_ok=True)
