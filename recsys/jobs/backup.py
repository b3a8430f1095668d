"""The job that backs one workspace up into one file: log, stores, catalogue, schema, snapshots and MLflow's records."""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from recsys import __version__
from recsys.durable import TEMPORARY_PREFIX
from recsys.errors import ConfigError
from recsys.events.lease import FoldLease, maintenance
from recsys.events.log import EventLog
from recsys.failpoints import Failpoint, reached
from recsys.jobs.archive import write_archive
from recsys.jobs.delete_users import finish_deletions
from recsys.workspace import Workspace

WORKSPACE, ARTIFACTS, DATABASE = "workspace", "artifacts", "mlflow.db"
"""Where the three parts lie in the file: the workspace's folder, its MLflow artefacts, MLflow's database."""

_SQLITE = (".db", ".sqlite")
_LEFT_OUT = ("-wal", "-shm", "-journal", ".writing", ".lock")


@dataclass(frozen=True, slots=True)
class BackupResult:
    """What was backed up.

    Attributes:
        workspace: name of the workspace.
        file: where to.
        files: how many files it holds.
        bytes: its size.
        position: the log's position in it.
    """

    workspace: str
    file: str
    files: int
    bytes: int
    position: int

    def as_dict(self) -> dict[str, object]:
        """Plain values, for --json."""
        return asdict(self)


def backup(workspace: Workspace, file: Path) -> BackupResult:
    """Writes a backup, verified, while everything goes on running; live rows wait until the stores are copied.

    Recommendations are left out: a batch makes them again. So are training runs. So are API keys: an old backup would
    bring revoked ones back. MLflow's database is one for all workspaces of a home and is copied whole; of its artefacts
    only this workspace's.

    Args:
        workspace: an existing workspace.
        file: where to; there must be nothing yet.

    Raises:
        ConfigError: the file exists, or its folder does not.
        LeaseError: another job is changing the workspace all the time, or took over from this one; there is no backup.
    """
    file = file.absolute()
    if file.exists():
        raise ConfigError(f"{file} exists already. Give a new name; a backup never replaces another.")
    if not file.parent.is_dir():
        raise ConfigError(f"There is no folder {file.parent}. Make it, or give another one.")
    finish_deletions(workspace)
    lease = FoldLease(workspace.event_log)
    with (
        tempfile.TemporaryDirectory(prefix=f"{TEMPORARY_PREFIX}backup-", dir=file.parent) as scratch,
        maintenance(lease, "back the workspace up") as token,
    ):
        copies = dict(_copied_databases(workspace, Path(scratch)))
        _let_go(copies[workspace.event_log], token)
        reached(Failpoint.BACKUP_COPIED)
        position = EventLog(workspace.event_log).position()
        about = {
            "workspace": workspace.name,
            "recsys": __version__,
            "made_at": datetime.now(UTC).isoformat(),
            "position": position,
        }
        written = write_archive(file, _files(workspace, copies), about, partial(lease.guarded, token))
    return BackupResult(workspace.name, str(file), len(written.files), file.stat().st_size, position)


def _copied_databases(workspace: Workspace, scratch: Path) -> Iterator[tuple[Path, Path]]:
    """Consistent copies by sqlite's own backup: the stores first, the log after them, so that it is never behind."""
    found = [path for path in sorted(workspace.root.rglob("*")) if path.suffix in _SQLITE and path.is_file()]
    found.sort(key=lambda path: path == workspace.event_log)
    if workspace.tracking_database.is_file():
        found.append(workspace.tracking_database)
    for number, path in enumerate(found):
        target = scratch / f"{number}{path.suffix}"
        with closing(sqlite3.connect(path, timeout=60.0)) as source, closing(sqlite3.connect(target)) as copy:
            source.backup(copy)
        _make_one_file(target)
        yield path, target


def _let_go(log: Path, token: int) -> None:
    """Nobody holds the copied lease: whoever restores it must not wait for it to expire."""
    lease = FoldLease(log)
    lease.release(token)
    lease.close()
    _make_one_file(log)


def _make_one_file(database: Path) -> None:
    """Brings what lies in the write-ahead log into the database itself."""
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")


def _files(workspace: Workspace, copies: dict[Path, Path]) -> Iterator[tuple[str, Path]]:
    """(name in the backup, file to read) each."""
    not_kept = (workspace.recommendations, workspace.keys_file, workspace.training)
    for path in _kept(workspace.root):
        inside = path.relative_to(workspace.root)
        made_meanwhile = path.suffix in _SQLITE and path not in copies  # never to be read as a plain file
        left_out = inside.parts[0] in (place.name for place in not_kept)
        if not left_out and not made_meanwhile:
            yield f"{WORKSPACE}/{inside.as_posix()}", copies.get(path, path)
    for path in _kept(workspace.artifacts):
        yield f"{ARTIFACTS}/{path.relative_to(workspace.artifacts).as_posix()}", path
    if workspace.tracking_database in copies:
        yield DATABASE, copies[workspace.tracking_database]


def _kept(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        unfinished = any(part.startswith(TEMPORARY_PREFIX) for part in path.relative_to(folder).parts)
        if path.is_file() and not unfinished and not path.name.endswith(_LEFT_OUT):
            yield path
