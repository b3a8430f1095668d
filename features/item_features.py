"""What the feature store holds of items: the catalogue's typed columns, and how many events the log has of each.

Definitions only, versioned by name like those of users.
"""

from pathlib import Path

from feast import Entity, FeatureService, FeatureView, ValueType

from recsys import columns
from recsys.context.feast_types import NO_EXPIRY, OWNER, fields, row_source
from recsys.context.feature_schema import ITEM_SERVICE, FeatureSchema
from recsys.context.item_rows import item_row_schema
from recsys.data.schema import WorkspaceSchema


def item_entity() -> Entity:
    """An item, by the id that the workspace's own data use."""
    return Entity(
        name="item",
        join_keys=[columns.ITEM_ID],
        value_type=ValueType.STRING,
        description="An item, by the id that the workspace's own data use.",
        tags={"kind": "entity"},
        owner=OWNER,
    )


def item_features(item: Entity, offline_rows: Path, schema: WorkspaceSchema, version: FeatureSchema) -> FeatureView:
    """The view and, inside it, its source: every parquet part in one folder."""
    tags = {"feature_version": version.version}
    description = "Items' rows, each since its newest event was received."
    source = row_source(version.named("item_rows"), offline_rows, description, tags)
    return FeatureView(
        name=version.named("item_features"),
        entities=[item],
        ttl=NO_EXPIRY,
        schema=fields(item_row_schema(schema)),
        source=source,
        online=True,
        description="The catalogue's typed columns, and how many events the log held when this was written. "
        "For analysts and rules: no model reads them.",
        tags=tags,
        owner=OWNER,
    )


def item_service(view: FeatureView, schema: WorkspaceSchema, version: FeatureSchema) -> FeatureService:
    """All that is known of items."""
    return FeatureService(
        name=version.named(ITEM_SERVICE),
        features=[view],
        tags={
            "feature_version": version.version,
            "schema_hash": version.sha256,
            "feature_schema": version.to_json(),
        },
        description=f"Items of the workspace {schema.name}",
        owner=OWNER,
    )
