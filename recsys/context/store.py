"""The one door to Feast: registers the definitions of one version of the features, and opens its store when asked.

What is written to it and read from it lies in `user_store`, `item_store` and `online_upkeep`. Importing Feast takes
seconds: import this module late.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass

from recsys.context.definitions import definitions_of, register, registered_versions
from recsys.context.engine import Engine
from recsys.context.feast_calls import quieten, release_registry, reported
from recsys.context.feature_schema import FeatureSchema
from recsys.context.item_rows import item_feature_schema
from recsys.context.layout import configuration, configuration_file, is_configured_here
from recsys.context.rows import feature_schema
from recsys.data.schema import WorkspaceSchema
from recsys.durable import replace_file
from recsys.errors import FeatureStoreError
from recsys.workspace import Workspace

with warnings.catch_warnings():  # importing Feast turns on every deprecation warning of the process
    from feast import FeatureService, FeatureStore
    from feast.errors import FeastObjectNotFoundException

    from recsys.context.online_rows import OnlineRows

USER_VIEWS = ("user_context", "user_seen")
ITEM_VIEW = "item_features"


@dataclass(frozen=True, slots=True)
class Opened:
    """Feast's store, the service of this version in it, and the service's online rows."""

    store: FeatureStore
    service: FeatureService
    rows: OnlineRows


class FeatureStoreAdapter:
    """One version of the features in one workspace's feature store.

    Args:
        workspace: the workspace.
        schema: its schema; decides which feature service is read.

    Raises:
        ConfigError: the settings of the workspace's feature store are wrong.
    """

    def __init__(self, workspace: Workspace, schema: WorkspaceSchema) -> None:
        quieten()
        self.workspace = workspace
        self.schema = schema
        self.engine = Engine.of(workspace)
        self.version = feature_schema(schema)
        self.item_version = item_feature_schema(schema)
        self._opening = threading.Lock()
        self._opened: Opened | None = None

    @property
    def views(self) -> tuple[str, ...]:
        """The online views of this version: of users, and of items."""
        return (*(self.version.named(view) for view in USER_VIEWS), self.item_version.named(ITEM_VIEW))

    def apply(self) -> None:
        """Writes feature_store.yaml and registers the definitions. Can be repeated; rows are not touched."""
        file = configuration_file(self.workspace)
        replace_file(file, configuration(self.workspace, self.engine).encode())
        with self.reported("apply the feature definitions"):
            store = FeatureStore(fs_yaml_file=file)
            register(store, definitions_of(self.workspace, self.schema))
            release_registry(store)
        self._opened = None

    def open(self) -> Opened:
        """Opens the store when it is first called.

        Raises:
            FeatureStoreError: there are no features of this version, or the registry cannot be reached.
        """
        with self._opening:
            if self._opened is None:
                self._opened = self._opened_anew()
            return self._opened

    def connect(self) -> FeatureStore:
        """The store, whatever features it has.

        Raises:
            FeatureStoreError: it was never made, or belongs to a workspace elsewhere or to other engines.
        """
        file = configuration_file(self.workspace)
        if not file.is_file():
            raise self._missing({})
        if not is_configured_here(self.workspace, self.engine):
            raise FeatureStoreError(
                f"{file} is of another folder or other engines: the workspace was moved or copied, or its settings "
                f"changed. Make its feature store anew: recsys features materialise --rebuild "
                f"--workspace {self.workspace.name}"
            )
        with self.reported("open the feature store"):
            return FeatureStore(fs_yaml_file=file)

    def reported(self, what: str) -> AbstractContextManager[None]:
        """Turns whatever Feast and the engines raise inside into one message (`feast_calls.reported`)."""
        return reported(what, self.workspace, self.engine)

    def _opened_anew(self) -> Opened:
        store = self.connect()
        with self.reported("open the feature store"):
            try:
                service = store.get_feature_service(self.version.service)
            except FeastObjectNotFoundException:
                raise self._missing(registered_versions(store)) from None
            opened = Opened(store, service, OnlineRows(store, service))
            release_registry(store)
            return opened

    def _missing(self, stored: Mapping[str, FeatureSchema | None]) -> FeatureStoreError:
        name = self.workspace.name
        known = "".join(
            f" It holds {service}: {'; '.join(version.changes_to(self.version)) if version else 'older, undescribed'}."
            for service, version in stored.items()
        )
        verb = "migrate" if stored else "materialise"
        return FeatureStoreError(
            f"The workspace '{name}' has no features of the version {self.version.service}.{known} "
            f"Make those of its present schema with: recsys features {verb} --workspace {name}"
        )
