"""The job that brings a workspace back from a backup: verified first, put in place in one step, then made ready."""

from __future__ import annotations

import os
import shutil
import uuid
from dataclasses import asdict, dataclass
from pathlib import Path

import polars as pl

from recsys.columns import USER_ID
from recsys.context.engine import EMBEDDED, Engine
from recsys.context.layout import configuration_file, is_configured_here
from recsys.durable import TEMPORARY_PREFIX, sync
from recsys.errors import ConfigError
from recsys.events.lease import FoldLease
from recsys.events.log import EventLog
from recsys.events.removals import Removals
from recsys.jobs.archive import extract_archive, verify_archive
from recsys.jobs.backup import ARTIFACTS, DATABASE, WORKSPACE
from recsys.jobs.delete_users import finish_deletions
from recsys.jobs.materialise import materialise
from recsys.workspace import Workspace


@dataclass(frozen=True, slots=True)
class RestoreResult:
    """What was restored.

    Attributes:
        workspace: name of the workspace.
        made_at: when the backup was made, ISO 8601, UTC.
        position: the log's position.
        replaced: whether a workspace of that name gave way.
        registry: "restored", "kept" (this home has an MLflow database of its own) or "none" (nothing was trained).
        deleted_again: users in the backup who were deleted from the replaced workspace after it was made.
    """

    workspace: str
    made_at: str
    position: int
    replaced: bool
    registry: str
    deleted_again: int

    def as_dict(self) -> dict[str, object]:
        """Plain values, for --json."""
        return asdict(self)


def restore(file: Path, *, replace: bool = False, name: str | None = None) -> RestoreResult:
    """Restores a workspace under its own name, into the present home.

    Nothing is touched before every byte of the backup was verified. Users who were deleted from the workspace that
    gives way stay deleted. A feature store that was made elsewhere, or whose online rows are on
    a server, is made anew from the log.

    Args:
        file: what `backup` wrote.
        replace: let a workspace of that name give way.
        name: which workspace the backup must be of; None: any.

    Raises:
        DataError: the file is missing, cut off or was changed; nothing was touched.
        ConfigError: the backup is of another workspace, or that exists or is in use; nothing was touched.
    """
    about = verify_archive(file).about
    workspace = Workspace.named(str(about["workspace"]))
    if name not in (None, workspace.name):
        raise ConfigError(f"{file} is a backup of the workspace '{workspace.name}', not of '{name}'.")
    exists = workspace.root.exists()
    _refuse_if_in_use(workspace, exists, replace)
    workspace.home.mkdir(parents=True, exist_ok=True)
    unfinished = workspace.home / f"{TEMPORARY_PREFIX}{workspace.name}-{uuid.uuid4().hex[:12]}"
    unfinished.mkdir()
    try:
        extract_archive(file, unfinished)
        again = _deleted_since(workspace, unfinished / WORKSPACE) if exists else 0
        _put_in_place(unfinished / WORKSPACE, workspace.root)
        _put_in_place(unfinished / ARTIFACTS, workspace.tracking_artifacts / workspace.name)
        registry = _registry_in_place(unfinished / DATABASE, workspace)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    if configuration_file(workspace).is_file() and not _brought_its_rows(workspace):
        materialise(workspace, rebuild=True)
    finish_deletions(workspace)
    return RestoreResult(
        workspace.name, str(about["made_at"]), EventLog(workspace.event_log).position(), exists, registry, again
    )


def _brought_its_rows(workspace: Workspace) -> bool:
    """Whether the online rows came with the backup: not from elsewhere, nor from a server that others hold."""
    engine = Engine.of(workspace)
    return engine.online_store == EMBEDDED and is_configured_here(workspace, engine)


def _refuse_if_in_use(workspace: Workspace, exists: bool, replace: bool) -> None:
    if not exists:
        return
    if not replace:
        raise ConfigError(
            f"There is a workspace '{workspace.name}' in {workspace.home} already. To have it give way: --replace. "
            "To keep it, restore into another home: RECSYS_HOME=DIR recsys restore …"
        )
    holder = FoldLease(workspace.event_log).holding() if workspace.event_log.is_file() else None
    if holder is not None:
        raise ConfigError(f"The workspace '{workspace.name}' is in use ({holder}). Stop that first, for example serve.")


def _deleted_since(workspace: Workspace, restored: Path) -> int:
    """Deletes from the restored log whom the present one has deleted; their other traces are cleaned once in place."""
    log = restored / workspace.event_log.relative_to(workspace.root)
    if not workspace.event_log.is_file() or not log.is_file():
        return 0
    users = [EventLog(log).read().select(USER_ID)]
    catalogue = restored / workspace.users_file.relative_to(workspace.root)
    if catalogue.is_file():
        users.append(pl.read_parquet(catalogue, columns=[USER_ID]))
    everybody = pl.concat(users).unique()[USER_ID].to_list()
    return len(Removals(log).take_over(Removals(workspace.event_log), everybody))


def _put_in_place(folder: Path, target: Path) -> None:
    """Moves a restored folder to where it belongs; what was there goes last of all."""
    if not folder.is_dir():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    aside = target.with_name(f"{TEMPORARY_PREFIX}replaced-{target.name}-{uuid.uuid4().hex[:12]}")
    if target.exists():
        target.rename(aside)
    folder.rename(target)
    sync(target.parent)
    shutil.rmtree(aside, ignore_errors=True)


def _registry_in_place(database: Path, workspace: Workspace) -> str:
    if not database.is_file():
        return "none"
    if workspace.tracking_database.exists():
        return "kept"
    workspace.tracking_database.parent.mkdir(parents=True, exist_ok=True)
    os.link(database, workspace.tracking_database)
    sync(workspace.tracking_database.parent)
    return "restored"
