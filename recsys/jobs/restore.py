"""The job that brings a workspace back from a backup: verified first, put in place in one step, then made ready."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from recsys.context.engine import EMBEDDED, Engine
from recsys.context.layout import configuration_file, is_configured_here
from recsys.durable import sync
from recsys.errors import ConfigError
from recsys.events.lease import FoldLease, Guard, maintenance
from recsys.events.log import EventLog
from recsys.failpoints import Failpoint, reached
from recsys.jobs.archive import extract_archive, verify_archive
from recsys.jobs.backup import ARTIFACTS, DATABASE, WORKSPACE
from recsys.jobs.delete_users import finish_deletions
from recsys.jobs.giving_way import appear, put_back, sweep, take_place, unfinished_folder
from recsys.jobs.materialise import materialise
from recsys.jobs.succession import take_over
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
    a server, is made anew from the log. A restore that was killed leaves the former workspace or the new one; where it
    had no name at that moment, the next restore gives it back.

    Args:
        file: what `backup` wrote.
        replace: let a workspace of that name give way.
        name: which workspace the backup must be of; None: any.

    Raises:
        DataError: the file is missing, cut off or was changed; nothing was touched.
        ConfigError: the backup is of another workspace, or that exists or is in use; nothing was touched.
        LeaseError: a job is changing the workspace all the time, or took over from this one; nothing was touched.
    """
    about = verify_archive(file).about
    workspace = Workspace.named(str(about["workspace"]))
    if name not in (None, workspace.name):
        raise ConfigError(f"{file} is a backup of the workspace '{workspace.name}', not of '{name}'.")
    for place in (workspace.root, workspace.artifacts):
        put_back(place)
        sweep(place)
    exists = workspace.root.exists()
    _refuse_if_in_use(workspace, exists, replace)
    with unfinished_folder(workspace.root) as unfinished, _undisturbed(workspace) as guard:
        extract_archive(file, unfinished)
        reached(Failpoint.RESTORE_UNPACKED)
        if exists:
            again = _replaced(workspace, unfinished / WORKSPACE, guard)
        else:
            appear(unfinished / WORKSPACE, workspace.root)
            again = 0
        _artifacts_in_place(unfinished / ARTIFACTS, workspace.artifacts)
        registry = _registry_in_place(unfinished / DATABASE, workspace)
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


@contextmanager
def _undisturbed(workspace: Workspace) -> Iterator[Guard]:
    """No job and no service changes the workspace meanwhile; yields what shuts out deletions and appends as well."""
    if not workspace.event_log.is_file():
        yield nullcontext
        return
    lease = FoldLease(workspace.event_log)
    with maintenance(lease, "restore the workspace") as token:
        yield partial(lease.guarded, token)


def _replaced(workspace: Workspace, restored: Path, guard: Guard) -> int:
    """Puts the restored folder in the workspace's place; how many were deleted again."""
    with guard():
        again = take_over(workspace, restored)
        former = take_place(restored, workspace.root)
    reached(Failpoint.RESTORE_IN_PLACE)
    shutil.rmtree(former, ignore_errors=True)
    reached(Failpoint.RESTORE_FORMER_GONE)
    return again


def _artifacts_in_place(restored: Path, target: Path) -> None:
    if not restored.is_dir():
        return
    if target.exists():
        shutil.rmtree(take_place(restored, target), ignore_errors=True)
    else:
        appear(restored, target)


def _registry_in_place(database: Path, workspace: Workspace) -> str:
    if not database.is_file():
        return "none"
    if workspace.tracking_database.exists():
        return "kept"
    workspace.tracking_database.parent.mkdir(parents=True, exist_ok=True)
    os.link(database, workspace.tracking_database)
    sync(workspace.tracking_database.parent)
    return "restored"
