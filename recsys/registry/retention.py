"""Which versions are kept and which may go: their snapshots in MLflow's folder and here, and their registry entries.

The runs with their figures stay: what was measured is not thrown away with the weights.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from recsys.errors import ConfigError, RegistryError
from recsys.registry.champion import no_model
from recsys.registry.client import exists, registry
from recsys.registry.moving import one_at_a_time
from recsys.registry.needed import needed_versions
from recsys.registry.versions import RegisteredVersion, read_version, version_numbers
from recsys.workspace import Workspace

if TYPE_CHECKING:
    from mlflow import MlflowClient

DEFAULT_KEEP = 5
_LEFTOVER_SECONDS = 86_400
"""A local snapshot that no version names may be one that is being registered, until it is a day old."""


@dataclass(frozen=True, slots=True)
class Collected:
    """What was thrown away, or would be.

    Attributes:
        kept: why each kept version is kept, by its number.
        removed: the versions that go.
        leftovers: local snapshots of no version at all, and unfinished ones, that go.
        bytes: how much room that makes.
        dry_run: whether nothing was touched.
    """

    kept: Mapping[str, str]
    removed: tuple[str, ...]
    leftovers: tuple[str, ...]
    bytes: int
    dry_run: bool

    def as_dict(self) -> dict[str, object]:
        """Plain values, for --json."""
        return asdict(self)


def collect(workspace: Workspace, *, keep: int = DEFAULT_KEEP, dry_run: bool = False) -> Collected:
    """Throws away all versions but the champion, the challenger, what a rollback restores, what is in use, the last N.

    Files go first and the registry's entry after them, so that a clean-up that was cut short is finished by the next.

    Args:
        workspace: whose versions.
        keep: how many of the newest ones stay in any case; at least 1.
        dry_run: only say what would go.

    Raises:
        ConfigError: nothing was trained here, or `keep` is below 1.
        RegistryError: a promotion is under way, or the registry failed.
    """
    if keep < 1:
        raise ConfigError(f"Keep at least 1 version, not {keep}.")
    if not exists(workspace):
        raise no_model(workspace)
    with one_at_a_time(workspace), registry(workspace) as client:
        versions = _readable(client, workspace)
        if not versions:
            raise no_model(workspace)
        reasons = _reasons(client, workspace, keep)
        going = [known for number, known in versions.items() if number not in reasons and known is not None]
        kept = {number: reasons.get(number, "recsys did not register it") for number in versions}
        kept = {number: why for number, why in kept.items() if number not in {known.version for known in going}}
        staying = {known.local(workspace) for number, known in versions.items() if number in kept and known is not None}
        shared = {known.artifact for number, known in versions.items() if number in kept and known is not None}
        folders = [
            _model_folder(workspace, known, known.artifact)
            for known in going
            if known.artifact is not None and known.artifact not in shared
        ]
        locals_ = [path for path in dict.fromkeys(known.local(workspace) for known in going) if path not in staying]
        leftovers = _leftovers(workspace, {known.local(workspace) for known in versions.values() if known is not None})
        size = sum(_size(path) for path in (*folders, *locals_, *leftovers))
        if not dry_run:
            for path in (*folders, *locals_, *leftovers):
                shutil.rmtree(path, ignore_errors=True)
            for known in going:
                client.delete_model_version(workspace.registered_model, known.version)
    return Collected(
        kept=kept,
        removed=tuple(known.version for known in going),
        leftovers=tuple(path.name for path in leftovers),
        bytes=size,
        dry_run=dry_run,
    )


def _readable(client: MlflowClient, workspace: Workspace) -> dict[str, RegisteredVersion | None]:
    """Every version by number; None where recsys did not register it, which is left alone."""
    found: dict[str, RegisteredVersion | None] = {}
    for number in map(str, version_numbers(client, workspace)):
        try:
            found[number] = read_version(client, workspace, number)
        except RegistryError:
            found[number] = None
    return found


def _reasons(client: MlflowClient, workspace: Workspace, keep: int) -> dict[str, str]:
    """Why a version stays, by its number; of several reasons the weightiest."""
    newest = [str(number) for number in version_numbers(client, workspace)[-keep:]]
    return {**{number: f"one of the {keep} newest" for number in newest}, **needed_versions(client, workspace)}


def _model_folder(workspace: Workspace, known: RegisteredVersion, artifact: Path) -> Path:
    """MLflow's folder of the logged model; never one outside the workspace's own artifacts."""
    folder = artifact.parent.parent
    own = (workspace.tracking_artifacts / workspace.name).resolve()
    if not folder.resolve().is_relative_to(own) or folder.resolve() == own:
        raise RegistryError(
            f"Version {known.version} lies at {folder}, outside of {own}: nothing was removed. Remove it in MLflow."
        )
    return folder


def _leftovers(workspace: Workspace, named: set[Path]) -> list[Path]:
    if not workspace.snapshots.is_dir():
        return []
    old = time.time() - _LEFTOVER_SECONDS
    return [
        path
        for path in sorted(workspace.snapshots.iterdir())
        if path.is_dir() and path not in named and path.stat().st_mtime < old
    ]


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
