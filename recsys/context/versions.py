"""The versions of the features that a workspace's store holds: which there are, and the removal of one.

Importing Feast takes seconds: import this module late.
"""

from __future__ import annotations

import shutil
import warnings

from recsys.context.definitions import registered_versions
from recsys.context.feast_calls import quieten, reported
from recsys.context.feature_schema import SERVICE_PREFIX, FeatureSchema
from recsys.context.layout import configuration_file, offline_rows, state_file
from recsys.workspace import Workspace

with warnings.catch_warnings():  # importing Feast turns on every deprecation warning of the process
    from feast import FeatureStore, FeatureView

_UNVERSIONED = ("user_context", "user_seen", "user_row_validity")
"""Views of before their names carried a version."""


class StoredVersions:
    """The versions in one workspace's store.

    Args:
        workspace: the workspace.
    """

    def __init__(self, workspace: Workspace) -> None:
        quieten()
        self.workspace = workspace

    def all(self) -> dict[str, FeatureSchema | None]:
        """Every version by its service's name; None where the service does not say its schema."""
        file = configuration_file(self.workspace)
        if not file.is_file():
            return {}
        with reported("list the feature versions", self.workspace):
            return registered_versions(FeatureStore(fs_yaml_file=file))

    def drop(self, service: str) -> None:
        """Removes a version: its service, views, sources, online rows and offline rows.

        Args:
            service: one of `all`.
        """
        version = service.removeprefix(SERVICE_PREFIX)
        with reported(f"drop the feature version {version}", self.workspace):
            store = FeatureStore(fs_yaml_file=configuration_file(self.workspace))
            versioned = registered_versions(store)[service] is not None
            views = [view for view in store.list_feature_views() if _belongs(view, version, versioned)]
            sources = [source for view in views for source in (view.batch_source, view.stream_source) if source]
            distinct = list({source.name: source for source in sources}.values())
            store.apply([], objects_to_delete=[store.get_feature_service(service), *views, *distinct], partial=False)
        rows, state = offline_rows(self.workspace), state_file(self.workspace)
        if versioned:
            shutil.rmtree(rows / version, ignore_errors=True)
            state.with_name(f"{state.stem}-{version}{state.suffix}").unlink(missing_ok=True)
        else:
            for part in (*rows.glob("*.parquet"), state):
                part.unlink(missing_ok=True)


def _belongs(view: FeatureView, version: str, versioned: bool) -> bool:
    return view.tags.get("feature_version") == version if versioned else view.name in _UNVERSIONED
