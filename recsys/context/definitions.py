"""One workspace's definitions, made from features/ and registered with Feast. A registered version is never changed.

It knows Feast and no rows.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from recsys.context.feast_calls import load_definitions
from recsys.context.feature_schema import FeatureSchema, is_context_service, is_item_service
from recsys.context.item_rows import item_feature_schema
from recsys.context.row_folders import item_row_folder, user_row_folder
from recsys.context.rows import feature_schema
from recsys.data.schema import WorkspaceSchema
from recsys.errors import FeatureStoreError
from recsys.workspace import Workspace

with warnings.catch_warnings():  # importing Feast turns on every deprecation warning of the process
    from feast import Entity, FeatureService, FeatureStore, FeatureView
    from feast.data_source import DataSource
    from feast.errors import FeastObjectNotFoundException

Shape = list[tuple[str, list[tuple[str, str]]]]


@dataclass(frozen=True, slots=True)
class Definitions:
    """What is registered for one schema.

    Attributes:
        entities: user and item.
        sources: where rows come from.
        views: of users and of items.
        services: of users' contexts, and of items.
    """

    entities: tuple[Entity, ...]
    sources: tuple[DataSource, ...]
    views: tuple[FeatureView, ...]
    services: tuple[FeatureService, ...]


def definitions_of(workspace: Workspace, schema: WorkspaceSchema) -> Definitions:
    """The definitions that a workspace with this schema has; makes the folders of the offline rows."""
    users, items = load_definitions("user_features"), load_definitions("item_features")
    version, item_version = feature_schema(schema), item_feature_schema(schema)
    rows = users.user_source(_made(user_row_folder(workspace, version)), version)
    live = users.live_user_rows(rows, version)
    user, item = users.user_entity(), items.item_entity()
    context = users.user_context(user, live, schema, version)
    seen = users.user_seen(user, live, version)
    validity = users.user_row_validity(user, rows, version)
    described = items.item_features(item, _made(item_row_folder(workspace, item_version)), schema, item_version)
    return Definitions(
        entities=(user, item),
        sources=(rows, live, described.batch_source),
        views=(context, seen, validity, described),
        services=(
            users.context_service(context, seen, schema, version),
            items.item_service(described, schema, item_version),
        ),
    )


def register(store: FeatureStore, definitions: Definitions) -> None:
    """Registers definitions. Can be repeated; rows are not touched.

    Raises:
        FeatureStoreError: a service of that name is registered with other features. Feast itself would change it
            under the models that read it.
    """
    for service in definitions.services:
        try:
            registered = store.get_feature_service(service.name)
        except FeastObjectNotFoundException:
            continue
        if shape(registered) != shape(service) or registered.tags != service.tags:
            raise FeatureStoreError(
                f"The feature service {service.name} is registered with other features than these: "
                f"{_difference(registered, service)}. A registered version is never changed. Make it anew from the "
                "event log with: recsys features materialise --rebuild"
            )
    store.apply([*definitions.entities, *definitions.sources, *definitions.views, *definitions.services])


def registered_versions(store: FeatureStore) -> dict[str, FeatureSchema | None]:
    """The versions of user contexts that a store holds, by service name; None where a service does not say its schema.

    An earlier version of this library did not write it down.
    """
    return _described(store, is_context_service)


def registered_item_versions(store: FeatureStore) -> dict[str, FeatureSchema | None]:
    """The versions of items' rows that a store holds, likewise."""
    return _described(store, is_item_service)


def shape(service: FeatureService) -> Shape:
    """Views of a service with the names and types of their features, in order."""
    return [
        (view.name, [(field.name, str(field.dtype)) for field in view.features])
        for view in service.feature_view_projections
    ]


def _described(store: FeatureStore, wanted: Callable[[str], bool]) -> dict[str, FeatureSchema | None]:
    found: dict[str, FeatureSchema | None] = {}
    for service in store.list_feature_services():
        if wanted(service.name):
            stored = service.tags.get("feature_schema")
            found[service.name] = None if stored is None else FeatureSchema.from_json(stored)
    return found


def _difference(registered: FeatureService, service: FeatureService) -> str:
    def listed(one: FeatureService) -> set[str]:
        return {f"{view}:{name} ({dtype})" for view, features in shape(one) for name, dtype in features}

    gone, new = sorted(listed(registered) - listed(service)), sorted(listed(service) - listed(registered))
    words = [f"registered only: {', '.join(gone)}"] * bool(gone) + [f"wanted only: {', '.join(new)}"] * bool(new)
    return "; ".join(words) or "their order or meaning differs"


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder
