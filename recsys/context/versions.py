"""The versions of the features that a workspace's store holds: which there are, and the removal of one.

Importing Feast takes seconds: import this module late.
"""

from __future__ import annotations

import shutil
import warnings
from contextlib import AbstractContextManager
from datetime import UTC, datetime

from recsys import columns
from recsys.context.definitions import registered_item_versions, registered_versions
from recsys.context.engine import Engine
from recsys.context.feast_calls import quieten, release_registry, reported
from recsys.context.feature_schema import FeatureSchema, digits_of, is_item_service
from recsys.context.fencing import writer_token
from recsys.context.layout import configuration_file, offline_item_rows, offline_rows, state_file
from recsys.events.lease import Guard
from recsys.failpoints import Failpoint, reached
from recsys.workspace import Workspace

with warnings.catch_warnings():  # importing Feast turns on every deprecation warning of the process
    from feast import FeatureStore, FeatureView

    from recsys.context.online_rows import OnlineRows
    from recsys.context.online_values import live_store

_NEVER = datetime(9999, 1, 1, tzinfo=UTC)
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
        self._engine = Engine.of(workspace)

    def all(self) -> dict[str, FeatureSchema | None]:
        """Every version of users' and of items' rows, by its service; None where that does not say its schema."""
        file = configuration_file(self.workspace)
        if not file.is_file():
            return {}
        with self._reported("list the feature versions"):
            store = FeatureStore(fs_yaml_file=file)
            found = registered_versions(store) | registered_item_versions(store)
            release_registry(store)
            return found

    def rows(self, user_id: str) -> dict[str, dict[str, object]]:
        """What is stored online of a user: a row by the service of each version that has one."""
        found: dict[str, dict[str, object]] = {}
        if not configuration_file(self.workspace).is_file():
            return found
        with self._reported("read online rows"):
            store = FeatureStore(fs_yaml_file=configuration_file(self.workspace))
            for service in registered_versions(store):
                values = OnlineRows(store, store.get_feature_service(service)).read([user_id])
                row = {name: value for name, (value,) in values.items()}
                if any(value is not None for name, value in row.items() if name != columns.USER_ID):
                    found[service] = row
        return found

    def drop(self, service: str, token: int, guard: Guard) -> None:
        """Removes a version: its online rows, offline rows, service, views and sources. Can be repeated.

        What names the version goes last, so that a removal that was interrupted can be found and repeated.

        Args:
            service: one of `all`.
            token: of the lease that is held.
            guard: entered for the moment in which files change (`FoldLease.guarded`).

        Raises:
            LeaseError: the lease is lost.
        """
        version = digits_of(service)
        with self._reported(f"drop the feature version {version}"), writer_token(token):
            store = FeatureStore(fs_yaml_file=configuration_file(self.workspace))
            versioned = is_item_service(service) or registered_versions(store)[service] is not None
            views = [view for view in store.list_feature_views() if _belongs(view, version, versioned)]
            live = live_store(store)
            for view in views:
                if view.online:
                    live.delete_older(store.config, view, _NEVER)
            live.forget_folded(store.config, version)
            reached(Failpoint.DROP_ONLINE_GONE)
            with guard():
                self._remove_files(version if versioned else None)
            reached(Failpoint.DROP_OFFLINE_GONE)
            sources = [source for view in views for source in (view.batch_source, view.stream_source) if source]
            distinct = list({source.name: source for source in sources}.values())
            store.apply([], objects_to_delete=[store.get_feature_service(service), *views, *distinct], partial=False)
            live.scrub(store.config)
        reached(Failpoint.DROP_UNREGISTERED)

    def _reported(self, what: str) -> AbstractContextManager[None]:
        return reported(what, self.workspace, self._engine)

    def _remove_files(self, version: str | None) -> None:
        """The offline rows of a version, of what had none for None, and what is noted of them."""
        rows, state = offline_rows(self.workspace), state_file(self.workspace)
        if version is not None:
            for folder in (rows, offline_item_rows(self.workspace)):
                shutil.rmtree(folder / version, ignore_errors=True)
            state.with_name(f"{state.stem}-{version}{state.suffix}").unlink(missing_ok=True)
        else:
            for part in (*rows.glob("*.parquet"), state):
                part.unlink(missing_ok=True)


def _belongs(view: FeatureView, version: str, versioned: bool) -> bool:
    return view.tags.get("feature_version") == version if versioned else view.name in _UNVERSIONED
