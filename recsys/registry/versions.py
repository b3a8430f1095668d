"""The versions of a workspace's registered model: which there are, what they measured, where their snapshots lie."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import unquote, urlparse

from recsys.errors import RegistryError, SnapshotError
from recsys.registry.fetching import SERVED, fetched_snapshot
from recsys.registry.local import local_name
from recsys.registry.metric_names import tracked_name
from recsys.registry.packaging import ARTIFACTS
from recsys.registry.snapshot import Snapshot, load_snapshot, verify_snapshot
from recsys.workspace import Workspace

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion

    from mlflow import MlflowClient

FLOW_KEY = "recsys.flow_key"
"""The tag of a version that a flow made: what the flow's training step was given, hashed."""
CHAMPION = "champion"
CHALLENGER = "challenger"
"""What `recsys promote` judges, or has judged last."""
LIVE_CHALLENGER = "live-challenger"
"""What services try on live users beside the champion; a judgement names nobody for that."""
_CONTENT_HASH = "recsys.content_hash"
_SNAPSHOT_HASH = "recsys.snapshot_hash"
_METRIC = "metric."
_Found = TypeVar("_Found")


@dataclass(frozen=True, slots=True)
class RegisteredVersion:
    """One version of `recsys-<workspace>`.

    Attributes:
        version: its number, as MLflow writes it.
        run_id: the training run it comes from.
        content_hash: what its model files must hash to.
        snapshot_hash: what its whole snapshot folder must hash to.
        metrics: what the training run measured, by `tracked_name`.
        artifact: where MLflow keeps its snapshot folder; None on a tracking server, which is asked for a copy.
        labels: what else it was registered with: log position, data fingerprint, code commit, when it was trained.
    """

    version: str
    run_id: str
    content_hash: str
    snapshot_hash: str
    metrics: Mapping[str, float]
    artifact: Path | None
    labels: Mapping[str, str] = field(default_factory=dict)

    def metric(self, name: str) -> float | None:
        """A metric by the name people write (`validation.ndcg@10`), None when the run did not record it."""
        return self.metrics.get(tracked_name(name))

    def local(self, workspace: Workspace) -> Path:
        """Where the workspace's own copy of its snapshot lies."""
        return workspace.snapshots / local_name(self.content_hash, self.snapshot_hash)


def version_tags(snapshot: Snapshot, metrics: Mapping[str, float]) -> dict[str, str]:
    """The tags a version is registered with: its snapshot's hashes and its metrics, every digit kept."""
    measured = {f"{_METRIC}{tracked_name(name)}": repr(value) for name, value in metrics.items()}
    return {_CONTENT_HASH: snapshot.content_hash, _SNAPSHOT_HASH: snapshot.snapshot_hash} | measured


def version_numbers(client: MlflowClient, workspace: Workspace) -> list[int]:
    """All versions of the workspace's model, ascending."""
    found: list[int] = []
    token: str | None = None
    while True:
        page = client.search_model_versions(f"name='{workspace.registered_model}'", page_token=token)
        found += [int(entry.version) for entry in page]
        token = page.token
        if not token:
            return sorted(found)


def read_version(client: MlflowClient, workspace: Workspace, version: str) -> RegisteredVersion:
    """One version by its number; it must exist."""
    return _described(client, client.get_model_version(workspace.registered_model, version))


def version_of(client: MlflowClient, workspace: Workspace, snapshot_hash: str) -> str | None:
    """The newest version with exactly this snapshot, None when the registry knows none."""
    query = f"name='{workspace.registered_model}' and tag.`{_SNAPSHOT_HASH}`='{snapshot_hash}'"
    numbers = [int(entry.version) for entry in client.search_model_versions(query)]
    return str(max(numbers)) if numbers else None


def made_under(client: MlflowClient, workspace: Workspace, key: str) -> str | None:
    """The newest version that a flow made under a key, None when there is none."""
    query = f"name='{workspace.registered_model}' and tag.`{FLOW_KEY}`='{key}'"
    numbers = [int(entry.version) for entry in client.search_model_versions(query)]
    return str(max(numbers)) if numbers else None


def aliased(client: MlflowClient, workspace: Workspace, alias: str) -> str | None:
    """The number of the version that carries an alias, None when none does."""
    from mlflow.exceptions import MlflowException

    try:
        return str(client.get_model_version_by_alias(workspace.registered_model, alias).version)
    except MlflowException as error:
        if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            return None
        raise


def verified_snapshot(workspace: Workspace, registered: RegisteredVersion) -> Path:
    """The version's snapshot folder: MLflow's, or the local copy of the same hash where MLflow's is damaged or gone.

    On a tracking server it is the local copy, fetched first where there is none that is whole.

    Raises:
        RegistryError: the tracking server does not hand it out.
        SnapshotError: neither is whole; the message names what is wrong with both.
    """
    return _first_whole(workspace, registered, _verified)


def loaded_snapshot(workspace: Workspace, registered: RegisteredVersion) -> Snapshot:
    """The same, loaded: every file is hashed once."""
    return _first_whole(workspace, registered, load_snapshot)


def _verified(folder: Path, *, content_hash: str, snapshot_hash: str) -> Path:
    verify_snapshot(folder, content_hash=content_hash, snapshot_hash=snapshot_hash)
    return folder


def _first_whole(workspace: Workspace, registered: RegisteredVersion, read: Callable[..., _Found]) -> _Found:
    problems: list[str] = []
    local = registered.local(workspace)
    for folder in (local,) if registered.artifact is None else (registered.artifact, local):
        try:
            return read(folder, content_hash=registered.content_hash, snapshot_hash=registered.snapshot_hash)
        except SnapshotError as error:
            problems.append(str(error))
    if registered.artifact is None:
        fetched = fetched_snapshot(workspace, registered.version, registered.content_hash, registered.snapshot_hash)
        return read(fetched, content_hash=registered.content_hash, snapshot_hash=registered.snapshot_hash)
    raise SnapshotError(
        f"Version {registered.version} of {workspace.registered_model} has no whole snapshot. {' '.join(problems)}"
    )


def _described(client: MlflowClient, found: ModelVersion) -> RegisteredVersion:
    tags: Mapping[str, str] = found.tags
    if _SNAPSHOT_HASH not in tags or _CONTENT_HASH not in tags:
        raise RegistryError(
            f"Version {found.version} of {found.name} was not registered by recsys (no {_SNAPSHOT_HASH} tag): "
            "it cannot be verified and is not loaded. Train with: recsys train"
        )
    folder = _model_folder(client, found)
    return RegisteredVersion(
        version=str(found.version),
        run_id=str(found.run_id),
        content_hash=tags[_CONTENT_HASH],
        snapshot_hash=tags[_SNAPSHOT_HASH],
        metrics={name.removeprefix(_METRIC): float(tags[name]) for name in tags if name.startswith(_METRIC)},
        artifact=folder and folder / ARTIFACTS / local_name(tags[_CONTENT_HASH], tags[_SNAPSHOT_HASH]),
        labels={name: value for name, value in tags.items() if not name.startswith((_METRIC, "recsys."))},
    )


def _model_folder(client: MlflowClient, found: ModelVersion) -> Path | None:
    """MLflow's folder of a version, None when its server keeps it."""
    location = urlparse(str(client.get_model_version_download_uri(found.name, found.version)))
    if location.scheme == SERVED:
        return None
    if location.scheme not in ("", "file"):
        raise RegistryError(
            f"Version {found.version} of {found.name} lies at {location.geturl()}: only models in the workspace's own "
            "artifact folder, or handed out by its tracking server, are loaded."
        )
    return Path(unquote(location.path))
