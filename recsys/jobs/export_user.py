"""The job that hands out all that a workspace holds of one user: profile, events, and what is stored about them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import polars as pl

from recsys import columns
from recsys.batch.formats import partition_files
from recsys.context.layout import configuration_file
from recsys.errors import DataError
from recsys.events.impressions import ImpressionLog
from recsys.events.log import EventLog
from recsys.events.outcomes import Outcomes
from recsys.jobs.delete_users import finish_deletions
from recsys.workspace import Workspace


def export_user(workspace: Workspace, user_id: str) -> list[dict[str, object]]:
    """Everything that is kept of a user, one record each.

    Args:
        workspace: an existing workspace.
        user_id: whose data.

    Returns:
        Records with `record`: "profile" (the catalogue's columns), "event" (the log's columns, in order),
        "impression" (what was shown), and "stored" with `where`: the online row, offline rows and recommendations
        made from them.

    Raises:
        DataError: nothing is kept of this user.
        FeatureStoreError: the online rows cannot be read.
    """
    finish_deletions(workspace)
    parts = (_profile, _events, _impressions, _stored)
    records = [record for part in parts for record in part(workspace, user_id)]
    if not records:
        raise DataError(f"The workspace '{workspace.name}' holds nothing of a user '{user_id}'.")
    return records


def _profile(workspace: Workspace, user_id: str) -> Iterator[dict[str, object]]:
    if not workspace.users_file.is_file():
        return
    for row in pl.scan_parquet(workspace.users_file).filter(pl.col(columns.USER_ID) == user_id).collect().to_dicts():
        yield {"record": "profile", **row}


def _events(workspace: Workspace, user_id: str) -> Iterator[dict[str, object]]:
    answers = Outcomes(workspace.event_log).answers([user_id])
    events = EventLog(workspace.event_log).read([user_id]).join(answers, on=columns.LOG_SEQUENCE, how="left")
    for row in events.sort(columns.LOG_SEQUENCE).to_dicts():
        yield {"record": "event", **row}


def _impressions(workspace: Workspace, user_id: str) -> Iterator[dict[str, object]]:
    for row in ImpressionLog.of(workspace).read(user_id=user_id).to_dicts():
        yield {"record": "impression", **row}


def _stored(workspace: Workspace, user_id: str) -> Iterator[dict[str, object]]:
    if configuration_file(workspace).is_file():
        yield from _online(workspace, user_id)
    for path in sorted(workspace.feature_store.rglob("*.parquet")):
        if columns.USER_ID in pl.read_parquet_schema(path):
            yield from _rows(pl.scan_parquet(path), path.relative_to(workspace.root), user_id)
    for folder in sorted(workspace.recommendations.glob("*/")):
        for path, form in partition_files(folder):
            yield from _rows(form.scan(path), path.relative_to(workspace.root), user_id)


def _online(workspace: Workspace, user_id: str) -> Iterator[dict[str, object]]:
    from recsys.context.versions import StoredVersions

    for service, row in StoredVersions(workspace).rows(user_id).items():
        yield {"record": "stored", "where": f"online/{service}", **row}


def _rows(stored: pl.LazyFrame, where: Path, user_id: str) -> Iterator[dict[str, object]]:
    for row in stored.filter(pl.col(columns.USER_ID) == user_id).collect().to_dicts():
        yield {"record": "stored", "where": str(where), **row}
