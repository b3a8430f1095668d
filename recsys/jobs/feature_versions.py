"""The jobs around versions of the features: make the present one beside those that serve, list them, drop one."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import partial

from recsys.context.feature_schema import SERVICE_PREFIX
from recsys.context.rows import feature_schema
from recsys.data.schema import WorkspaceSchema
from recsys.errors import ConfigError
from recsys.events.lease import FoldLease, maintenance
from recsys.jobs.materialise import MaterialiseResult, materialise
from recsys.jobs.served_features import champions_features
from recsys.workspace import Workspace

UNDESCRIBED = "it was made by a version of recsys that did not write down its columns"


@dataclass(frozen=True, slots=True)
class StoredVersion:
    """One version in the store.

    Attributes:
        service: its feature service.
        present: whether it is the one that the workspace's schema asks for.
        champion: whether the champion reads it.
        changes: what is different in the present version.
    """

    service: str
    present: bool
    champion: bool
    changes: tuple[str, ...]

    def as_dict(self) -> dict[str, object]:
        """Plain values, for --json."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Migration:
    """What a migration did.

    Attributes:
        older: the other versions that the store holds; they go on serving.
        materialised: the present version's rows.
    """

    older: tuple[StoredVersion, ...]
    materialised: MaterialiseResult

    def as_dict(self) -> dict[str, object]:
        """Plain values, for --json."""
        return {"older": [one.as_dict() for one in self.older], **self.materialised.as_dict()}


def versions(workspace: Workspace) -> list[StoredVersion]:
    """The versions that the workspace's store holds."""
    from recsys.context.versions import StoredVersions

    present = feature_schema(WorkspaceSchema.load(workspace.schema_file))
    read = champions_features(workspace)
    return [
        StoredVersion(
            service=service,
            present=service == present.service,
            champion=read is not None and service == read.service,
            changes=(UNDESCRIBED,) if stored is None else stored.changes_to(present),
        )
        for service, stored in sorted(StoredVersions(workspace).all().items())
    ]


def migrate(workspace: Workspace) -> Migration:
    """Makes the version that the workspace's schema and this library ask for, from the event log.

    The versions that are there keep their services, views and rows, and so their models, until they are dropped. Can
    be repeated; what is there is reused.

    Raises:
        ConfigError: the store holds no version at all.
        FeatureStoreError: the store cannot be written.
    """
    stored = versions(workspace)
    if not stored:
        raise ConfigError(
            f"The workspace '{workspace.name}' has no features to migrate. Make its first with: "
            f"recsys features materialise --workspace {workspace.name}"
        )
    older = tuple(one for one in stored if not one.present)
    return Migration(older=older, materialised=materialise(workspace))


def drop(workspace: Workspace, version: str) -> StoredVersion:
    """Removes a version with all its rows.

    Args:
        workspace: the workspace.
        version: a service's name, or the digits at its end.

    Raises:
        ConfigError: there is no such version, the workspace's schema asks for it, or the champion reads it.
        LeaseError: another job is changing the feature store all the time.
        FeatureStoreError: the store cannot be written.
    """
    from recsys.context.versions import StoredVersions

    stored = {one.service: one for one in versions(workspace)}
    chosen = stored.get(version) or stored.get(SERVICE_PREFIX + version)
    if chosen is None:
        known = ", ".join(stored) or "none"
        raise ConfigError(f"The workspace '{workspace.name}' has no feature version '{version}'; it has: {known}.")
    if chosen.present:
        raise ConfigError(f"{chosen.service} is what the schema of '{workspace.name}' asks for: it cannot be dropped.")
    if chosen.champion:
        raise ConfigError(
            f"{chosen.service} is read by the champion of '{workspace.name}'. Train on the present features and "
            f"promote the new version first: recsys train --workspace {workspace.name}"
        )
    lease = FoldLease(workspace.event_log)
    with maintenance(lease, "drop a feature version") as token:
        StoredVersions(workspace).drop(chosen.service, token, partial(lease.guarded, token))
    return chosen
