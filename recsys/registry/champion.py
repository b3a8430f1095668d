"""Which version serves: the registry's @champion, verified, or the last good local snapshot when it cannot be read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from recsys.errors import ConfigError, RegistryError
from recsys.registry import client as mlflow_client
from recsys.registry.local import last_good
from recsys.registry.snapshot import Snapshot, load_snapshot
from recsys.registry.versions import CHAMPION, aliased, read_version, verified_snapshot, version_numbers
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
    try:
        return _registered(workspace)
    except (RegistryError, ConfigError) as error:
        remembered = last_good(workspace)
        if remembered is None:
            if isinstance(error, RegistryError) and not mlflow_client.exists(workspace):
                raise no_model(workspace) from None
            raise
        known, folder = remembered
        return Champion(
            version=known.version,
            folder=folder,
            content_hash=known.content_hash,
            snapshot_hash=known.snapshot_hash,
            degraded=f"Serving version {known.version}, champion since {known.at}, from its local copy. {error}",
        )


def champion_version(workspace: Workspace) -> str:
    """The version that the registry calls champion: cheap to ask often, nothing is verified or loaded.

    Raises:
        ConfigError: there is no champion yet; the message says what to do.
        RegistryError: the registry cannot be read.
    """
    with mlflow_client.registry(workspace) as client:
        return _named(client, workspace)


def load_champion(workspace: Workspace) -> Snapshot:
    """The champion's snapshot, read into memory; same errors as `champion`, which also tells the version."""
    found = champion(workspace)
    return load_snapshot(found.folder, snapshot_hash=found.snapshot_hash)


def no_model(workspace: Workspace) -> ConfigError:
    """The error for a workspace in which nothing was trained."""
    return ConfigError(
        f"No model of workspace '{workspace.name}' is registered yet. Train one with: "
        f"recsys train --workspace {workspace.name}"
    )


def _registered(workspace: Workspace) -> Champion:
    with mlflow_client.registry(workspace) as client:
        registered = read_version(client, workspace, _named(client, workspace))
    return Champion(
        version=registered.version,
        folder=verified_snapshot(workspace, registered),
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
