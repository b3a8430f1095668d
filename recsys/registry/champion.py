"""Which version serves: the registry's @champion, verified, or the last good local snapshot when it cannot be read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from recsys.errors import ConfigError, RegistryError
from recsys.registry import client as mlflow_client
from recsys.registry.local import LastGood, last_good
from recsys.registry.snapshot import Snapshot, load_snapshot, verify_snapshot
from recsys.registry.versions import (
    CHAMPION,
    RegisteredVersion,
    aliased,
    loaded_snapshot,
    read_version,
    verified_snapshot,
    version_numbers,
)
from recsys.workspace import Workspace

if TYPE_CHECKING:
    from mlflow import MlflowClient


@dataclass(frozen=True, slots=True)
class Champion:
    """A champion whose snapshot is whole.

    Attributes:
        version: its number in the registry.
        folder: its snapshot, every file verified.
        content_hash: SHA-256 over the model files.
        snapshot_hash: SHA-256 over everything in the folder.
        degraded: why this is the last good local copy and not the registry's word; None when it is the latter.
    """

    version: str
    folder: Path
    content_hash: str
    snapshot_hash: str
    degraded: str | None = None


def champion(workspace: Workspace) -> Champion:
    """Resolves and verifies the workspace's champion.

    Raises:
        ConfigError: nothing was trained or promoted here yet; the message says what to do.
        RegistryError: the registry cannot be read and no champion was ever promoted here.
        SnapshotError: the champion's snapshot is damaged, in the registry and locally.
    """
    named = _resolved(workspace)
    if isinstance(named, _Remembered):
        known = named.champion
        verify_snapshot(named.folder, content_hash=known.content_hash, snapshot_hash=known.snapshot_hash)
        return named.as_champion()
    return _of(named, verified_snapshot(workspace, named))


def opened_champion(workspace: Workspace) -> tuple[Champion, Snapshot]:
    """The champion and its snapshot, loaded; the same errors as `champion`. Every file is hashed once."""
    named = _resolved(workspace)
    if isinstance(named, _Remembered):
        known = named.champion
        snapshot = load_snapshot(named.folder, content_hash=known.content_hash, snapshot_hash=known.snapshot_hash)
        return named.as_champion(), snapshot
    snapshot = loaded_snapshot(workspace, named)
    return _of(named, snapshot.folder), snapshot


def champion_version(workspace: Workspace) -> str:
    """The version that the registry calls champion: cheap to ask often, nothing is verified or loaded.

    Raises:
        ConfigError: there is no champion yet; the message says what to do.
        RegistryError: the registry cannot be read.
    """
    with mlflow_client.registry(workspace) as client:
        return _named(client, workspace)


def load_champion(workspace: Workspace) -> Snapshot:
    """The champion's snapshot alone; same errors as `champion`."""
    return opened_champion(workspace)[1]


def no_model(workspace: Workspace) -> ConfigError:
    """The error for a workspace in which nothing was trained."""
    return ConfigError(
        f"No model of workspace '{workspace.name}' is registered yet. Train one with: "
        f"recsys train --workspace {workspace.name}"
    )


@dataclass(frozen=True, slots=True)
class _Remembered:
    """The last good local champion, and why the registry's word could not be had."""

    champion: LastGood
    folder: Path
    why: str

    def as_champion(self) -> Champion:
        known = self.champion
        return Champion(
            version=known.version,
            folder=self.folder,
            content_hash=known.content_hash,
            snapshot_hash=known.snapshot_hash,
            degraded=f"Serving version {known.version}, champion since {known.at}, from its local copy. {self.why}",
        )


def _resolved(workspace: Workspace) -> RegisteredVersion | _Remembered:
    try:
        with mlflow_client.registry(workspace) as client:
            return read_version(client, workspace, _named(client, workspace))
    except (RegistryError, ConfigError) as error:
        remembered = last_good(workspace)
        if remembered is None:
            if isinstance(error, RegistryError) and not mlflow_client.exists(workspace):
                raise no_model(workspace) from None
            raise
        return _Remembered(*remembered, why=str(error))


def _of(registered: RegisteredVersion, folder: Path) -> Champion:
    return Champion(
        version=registered.version,
        folder=folder,
        content_hash=registered.content_hash,
        snapshot_hash=registered.snapshot_hash,
    )


def _named(client: MlflowClient, workspace: Workspace) -> str:
    version = aliased(client, workspace, CHAMPION)
    if version is None and not version_numbers(client, workspace):
        raise no_model(workspace)
    if version is None:
        raise ConfigError(
            f"The registry names no champion of workspace '{workspace.name}'. "
            f"Make one with: recsys promote --workspace {workspace.name}"
        )
    return version
