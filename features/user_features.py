"""What the feature store holds of users: the fixed features, and profile features typed by the workspace's schema.

Definitions only. `repository.py` declares them for Feast's own command line, `recsys.context.store` for everything
else. Items are not here: they live in the catalogue and in the model's snapshot.
"""

from datetime import timedelta
from pathlib import Path

import polars as pl
from feast import Entity, FeatureService, FeatureView, Field, FileSource, ValueType
from feast.data_format import ParquetFormat
from feast.types import Array, Bool, FeastType, Float32, Float64, Int64, String

from recsys import columns
from recsys.context.rows import CONTEXT_COLUMNS, SEEN_COLUMNS, feature_service_name, profile_types
from recsys.data.schema import WorkspaceSchema, polars_type

NO_EXPIRY = timedelta(0)

TYPES: dict[pl.DataType, FeastType] = {
    pl.String(): String,
    pl.Int64(): Int64,
    pl.Float64(): Float64,
    pl.Boolean(): Bool,
    pl.List(pl.String()): Array(String),
    pl.List(pl.Int64()): Array(Int64),
    pl.List(pl.Float32()): Array(Float32),
}


def user_entity() -> Entity:
    """The one entity: a user, by the id that the workspace's own data use."""
    return Entity(name="user", join_keys=[columns.USER_ID], value_type=ValueType.STRING)


def user_source(offline_rows: Path) -> FileSource:
    """The offline rows: every parquet part in one folder.

    Args:
        offline_rows: the folder, absolute.
    """
    return FileSource(
        name="user_rows",
        path=f"{offline_rows}/*.parquet",
        file_format=ParquetFormat(),
        timestamp_field=columns.EVENT_TIMESTAMP,
        created_timestamp_column=columns.CREATED_TIMESTAMP,
    )


def user_context(user: Entity, source: FileSource, schema: WorkspaceSchema) -> FeatureView:
    """Recent history, counts, where the log stood, presence, profile."""
    profile = {field: polars_type(kind) for field, kind in profile_types(schema).items()}
    return _view("user_context", user, source, {**CONTEXT_COLUMNS, **profile})


def user_seen(user: Entity, source: FileSource) -> FeatureView:
    """Every item that the user ever touched, how often, when last; grows with the user, so it is a view of its own."""
    return _view("user_seen", user, source, dict(SEEN_COLUMNS))


def user_row_validity(user: Entity, source: FileSource) -> FeatureView:
    """Until when an offline row is exact. It tells of the future: in no service, never online, never an input."""
    return _view("user_row_validity", user, source, {columns.VALID_UNTIL: pl.Int64()}, online=False)


def context_service(context: FeatureView, seen: FeatureView, schema: WorkspaceSchema) -> FeatureService:
    """All that a context is made of; named after the schema's hash, so that another shape is another service."""
    return FeatureService(
        name=feature_service_name(schema),
        features=[context, seen],
        tags={"schema_hash": schema.feature_hash()},
        description=f"User contexts of the workspace {schema.name}",
    )


def _view(
    name: str, user: Entity, source: FileSource, features: dict[str, pl.DataType], *, online: bool = True
) -> FeatureView:
    fields = [Field(name=feature, dtype=TYPES[dtype]) for feature, dtype in features.items()]
    return FeatureView(
        name=name,
        entities=[user],
        ttl=NO_EXPIRY,
        schema=[Field(name=columns.USER_ID, dtype=String), *fields],
        source=source,
        online=online,
    )
