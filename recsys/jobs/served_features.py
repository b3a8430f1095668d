"""Which versions of the features a workspace needs rows of: its own schema's, and the champion's while that differs."""

from __future__ import annotations

from recsys.context.feature_schema import FeatureSchema
from recsys.context.rows import feature_schema
from recsys.data.schema import WorkspaceSchema
from recsys.errors import ConfigError, RecsysError, RegistryError, SnapshotError
from recsys.registry.champion import load_champion
from recsys.registry.client import exists, registry
from recsys.registry.feature_lock import features_of
from recsys.registry.needed import needed_versions
from recsys.registry.versions import loaded_snapshot, read_version
from recsys.workspace import Workspace


def champions_features(workspace: Workspace) -> FeatureSchema | None:
    """The version that the champion reads; None when there is no champion."""
    try:
        return features_of(load_champion(workspace))
    except ConfigError:
        return None


def features_needed(workspace: Workspace) -> dict[str, str]:
    """What still needs a feature service, by the service's name: "version 3, what a rollback restores".

    A model that cannot be read needs none.

    Raises:
        RegistryError: the registry failed.
    """
    if not exists(workspace):
        return {}
    found: dict[str, str] = {}
    with registry(workspace) as client:
        for number, reason in sorted(needed_versions(client, workspace).items()):
            try:
                snapshot = loaded_snapshot(workspace, read_version(client, workspace, number))
                found[features_of(snapshot).service] = f"version {number}, {reason}"
            except (RegistryError, SnapshotError, ConfigError):
                continue
    return found


def served_schemas(workspace: Workspace) -> tuple[WorkspaceSchema, ...]:
    """The workspace's own schema, and the champion's when that asks for rows of another version.

    A champion that cannot be read, or whose rows this library makes no longer, cannot be served and needs none.
    """
    own = WorkspaceSchema.load(workspace.schema_file)
    try:
        snapshot = load_champion(workspace)
    except RecsysError:
        return (own,)
    made = feature_schema(snapshot.schema)
    older = made == features_of(snapshot) and made != feature_schema(own)
    return (own, snapshot.schema) if older else (own,)
