"""Fetches a version's snapshot from the tracking server into the workspace's own copies. Trusts its hashes alone."""

from __future__ import annotations

import tempfile
from pathlib import Path

from recsys.errors import RegistryError, SnapshotError
from recsys.registry.client import place, registry, tracking_uri
from recsys.registry.local import keep_snapshot, local_name
from recsys.registry.packaging import ARTIFACTS
from recsys.registry.snapshot import verify_snapshot
from recsys.workspace import Workspace

SERVED = "mlflow-artifacts"
"""The scheme of what a tracking server keeps and hands out itself; nothing else is followed."""


def fetched_snapshot(workspace: Workspace, version: str, content_hash: str, snapshot_hash: str) -> Path:
    """The local copy of a version's snapshot, downloaded whole and verified, or not there at all.

    Args:
        workspace: whose tracking server is asked.
        version: its number.
        content_hash: what its model files must hash to.
        snapshot_hash: what the whole folder must hash to.

    Raises:
        RegistryError: the server cannot be reached or does not hand it out.
        SnapshotError: what it handed out is damaged or another snapshot.
    """
    name = local_name(content_hash, snapshot_hash)
    workspace.snapshots.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="recsys-fetch-") as scratch, registry(workspace) as client:
        from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

        location = str(client.get_model_version_download_uri(workspace.registered_model, version))
        if not location.startswith(f"{SERVED}:"):
            raise RegistryError(
                f"Version {version} of {workspace.registered_model} lies at {location}: only what the tracking server "
                "hands out itself is loaded (start it with --serve-artifacts)."
            )
        source = get_artifact_repository(location, tracking_uri=tracking_uri(workspace))
        found = Path(str(source.download_artifacts(f"{ARTIFACTS}/{name}", scratch)))  # type: ignore[no-untyped-call]
        try:
            verify_snapshot(found, content_hash=content_hash, snapshot_hash=snapshot_hash)
        except SnapshotError as error:
            raise SnapshotError(
                f"Version {version} of {workspace.registered_model} is damaged on {place(workspace)}. {error}"
            ) from error
        return keep_snapshot(found, workspace.snapshots)
