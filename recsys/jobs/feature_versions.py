"""The jobs around versions of the features: make the present one beside those that serve, list them, drop one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Literal

from recsys.context.feature_schema import FeatureSchema, digits_of, is_item_service
from recsys.context.item_rows import item_feature_schema
from recsys.context.rows import feature_schema
from recsys.data.schema import WorkspaceSchema
from recsys.errors import ConfigError
from recsys.events.lease import FoldLease, maintenance
from recsys.jobs.materialise import MaterialiseResult, materialise
from recsys.jobs.served_features import champions_features, features_needed, served_schemas
from recsys.workspace import Workspace

UNDESCRIBED = "it was made by a version of recsys that did not write down its columns"

_Stored = Sequence[tuple[str, FeatureSchema | None]]
"""Services and what they say of their rows."""


@dataclass(frozen=True, slots=True)
class StoredVersion:
    """One version in the store.

    Attributes:
        service: its feature service.
        rows: whose rows they are.
        present: whether it is the one that the workspace's schema asks for.
        champion: whether the champion reads it; of items' rows, which no model reads, whether it is kept up for the
            champion.
        changes: what is different in the present version.
    """

    service: str
    rows: Literal["users", "items"]
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
    """The versions that the workspace's store holds: of users' rows, then of items'."""
    from recsys.context.versions import StoredVersions

    stored = sorted(StoredVersions(workspace).all().items())
    users, items = ([one for one in stored if is_item_service(one[0]) is of_items] for of_items in (False, True))
    return [*_users_versions(workspace, users), *_items_versions(workspace, items)]


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


def drop(workspace: Workspace, version: str, *, force: bool = False) -> StoredVersion:
    """Removes a version of users' or of items' rows, with all of them.

    Args:
        workspace: the workspace.
        version: a service's name, or the digits at its end.
        force: though a rollback, the challenger or a running process would still need it.

    Raises:
        ConfigError: there is no such version, the workspace's schema asks for it, the champion reads it, or (without
            `force`) another model that may still have to answer.
        LeaseError: another job is changing the feature store all the time.
        FeatureStoreError: the store cannot be written.
    """
    from recsys.context.versions import StoredVersions

    stored = {one.service: one for one in versions(workspace)}
    chosen = next((one for one in stored.values() if version in (one.service, digits_of(one.service))), None)
    if chosen is None:
        known = ", ".join(stored) or "none"
        raise ConfigError(f"The workspace '{workspace.name}' has no feature version '{version}'; it has: {known}.")
    if chosen.present:
        raise ConfigError(f"{chosen.service} is what the schema of '{workspace.name}' asks for: it cannot be dropped.")
    if chosen.champion:
        needed = "is read by" if chosen.rows == "users" else "is kept up for"
        raise ConfigError(
            f"{chosen.service} {needed} the champion of '{workspace.name}'. Train on the present features and "
            f"promote the new version first: recsys train --workspace {workspace.name}"
        )
    reader = None if force else features_needed(workspace).get(chosen.service)
    if reader is not None:
        raise ConfigError(f"{chosen.service} is read by {reader}. Drop it all the same with --force.")
    lease = FoldLease(workspace.event_log)
    with maintenance(lease, "drop a feature version") as token:
        StoredVersions(workspace).drop(chosen.service, token, partial(lease.guarded, token))
    return chosen


def _users_versions(workspace: Workspace, stored: _Stored) -> list[StoredVersion]:
    present, read = feature_schema(WorkspaceSchema.load(workspace.schema_file)), champions_features(workspace)
    return [
        StoredVersion(
            service=service,
            rows="users",
            present=service == present.service,
            champion=read is not None and service == read.service,
            changes=_changes(version, present),
        )
        for service, version in stored
    ]


def _items_versions(workspace: Workspace, stored: _Stored) -> list[StoredVersion]:
    present, *others = (item_feature_schema(schema) for schema in served_schemas(workspace))
    return [
        StoredVersion(
            service=service,
            rows="items",
            present=digits_of(service) == present.version,
            champion=digits_of(service) in [other.version for other in others],
            changes=_changes(version, present),
        )
        for service, version in stored
    ]


def _changes(version: FeatureSchema | None, present: FeatureSchema) -> tuple[str, ...]:
    return (UNDESCRIBED,) if version is None else version.changes_to(present)
