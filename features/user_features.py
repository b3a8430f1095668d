"""What the feature store holds of users: the fixed features, and profile features typed by the workspace's schema.

Definitions only. `repository.py` declares them for Feast's own command line, `recsys.context.definitions` for
everything else. Sources, views and the service carry the version of their rows in their names: versions live side by
side, and none is ever changed.
"""

from pathlib import Path

import polars as pl
from feast import Entity, FeatureService, FeatureView, FileSource, PushSource, ValueType
from feast.data_source import DataSource

from recsys import columns
from recsys.context.feast_types import NO_EXPIRY, OWNER, fields, row_source
from recsys.context.feature_schema import FeatureSchema
from recsys.context.rows import CONTEXT_COLUMNS, SEEN_COLUMNS, profile_types
from recsys.data.schema import WorkspaceSchema, polars_type


def user_entity() -> Entity:
    """A user, by the id that the workspace's own data use."""
    return Entity(
        name="user",
        join_keys=[columns.USER_ID],
        value_type=ValueType.STRING,
        description="A user, by the id that the workspace's own data use.",
        tags={"kind": "entity"},
        owner=OWNER,
    )


def user_source(offline_rows: Path, version: FeatureSchema) -> FileSource:
    """The offline rows of one version: every parquet part in one folder.

    Args:
        offline_rows: the folder, absolute.
        version: of the rows.
    """
    description = "Users' rows as of past moments, folded from the event log."
    return row_source(version.named("user_rows"), offline_rows, description, _tags(version))


def live_user_rows(offline: FileSource, version: FeatureSchema) -> PushSource:
    """Where live rows come in, online only: users' rows folded after each acknowledged event.

    Never push to the offline store: Feast rewrites a whole parquet file an event.
    """
    return PushSource(
        name=version.named("live_user_rows"),
        batch_source=offline,
        description="Users' rows as of now, folded from the event log. PushMode.ONLINE only.",
        tags=_tags(version),
        owner=OWNER,
    )


def user_context(user: Entity, source: DataSource, schema: WorkspaceSchema, version: FeatureSchema) -> FeatureView:
    """Profile, the last 200 events, counts, activity, popularity profile, affinities, log sequence, presence."""
    profile = {field: polars_type(kind) for field, kind in profile_types(schema).items()}
    description = (
        "Profile; items, times and weights of the last 200 positive events; counts; where the log stood; presence. "
        "Models read these. Activity, popularity profile and category affinities are for analysts, drift reports and "
        "rules: no model reads them."
    )
    return _view("user_context", user, source, {**CONTEXT_COLUMNS, **profile}, version, description)


def user_seen(user: Entity, source: DataSource, version: FeatureSchema) -> FeatureView:
    """Every item that the user ever touched, how often, when last; grows with the user, so it is a view of its own."""
    description = "Every item that the user ever touched, by first touch; how often, and when last."
    return _view("user_seen", user, source, dict(SEEN_COLUMNS), version, description)


def user_row_validity(user: Entity, source: FileSource, version: FeatureSchema) -> FeatureView:
    """Until when an offline row is exact. It tells of the future: in no service, never online, never an input."""
    description = "Bookkeeping: the row is exact as of any moment up to this one. Never an input of a model."
    validity = {columns.VALID_UNTIL: pl.Int64()}
    return _view("user_row_validity", user, source, validity, version, description, online=False)


def context_service(
    context: FeatureView, seen: FeatureView, schema: WorkspaceSchema, version: FeatureSchema
) -> FeatureService:
    """All that a context is made of; another shape or meaning of rows is another service."""
    return FeatureService(
        name=version.service,
        features=[context, seen],
        tags={**_tags(version), "schema_hash": version.sha256, "feature_schema": version.to_json()},
        description=f"User contexts of the workspace {schema.name}",
        owner=OWNER,
    )


def _view(
    name: str,
    user: Entity,
    source: DataSource,
    features: dict[str, pl.DataType],
    version: FeatureSchema,
    description: str,
    *,
    online: bool = True,
) -> FeatureView:
    return FeatureView(
        name=version.named(name),
        entities=[user],
        ttl=NO_EXPIRY,
        schema=fields({columns.USER_ID: pl.String(), **features}),
        source=source,
        online=online,
        description=description,
        tags=_tags(version),
        owner=OWNER,
    )


def _tags(version: FeatureSchema) -> dict[str, str]:
    return {"feature_version": version.version}
