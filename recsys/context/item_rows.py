"""Items' feature rows: the catalogue's typed columns under plain names, and how many events the log has of each.

It knows no store.
"""

from __future__ import annotations

import polars as pl

from recsys import columns
from recsys.context.catalogue_files import read_catalogue_file
from recsys.context.feature_names import plain_names
from recsys.context.feature_schema import FeatureSchema
from recsys.data.schema import WorkspaceSchema, polars_type
from recsys.events.log import EventLog
from recsys.workspace import Workspace

ITEM_LAYOUT = 1
BEGINNING = -2_208_988_800_000_000
"""1900-01-01 in microseconds: since when the row of an item without events holds."""


def item_fields(schema: WorkspaceSchema) -> dict[str, str]:
    """The feature name of every item column."""
    return plain_names("item", schema.item_columns)


def item_row_schema(schema: WorkspaceSchema) -> pl.Schema:
    """Columns and types of a frame of item rows, without its timestamps."""
    typed = {field: polars_type(schema.item_columns[name]) for name, field in item_fields(schema).items()}
    counted = {columns.EVENT_COUNT: pl.Int64(), columns.LOG_POSITION: pl.Int64()}
    return pl.Schema({columns.ITEM_ID: pl.String(), **typed, **counted})


def item_feature_schema(schema: WorkspaceSchema) -> FeatureSchema:
    """The version of item rows that this library makes for a workspace of that schema."""
    named = tuple((name, str(dtype)) for name, dtype in item_row_schema(schema).items())
    return FeatureSchema(layout=ITEM_LAYOUT, columns=named, meaning={})


def item_rows(workspace: Workspace, schema: WorkspaceSchema, position: int) -> pl.DataFrame:
    """One row for each item that the catalogue or the log knows.

    Args:
        workspace: whose items.
        schema: its schema.
        position: where the log stands; later events do not count.

    Returns:
        Columns of `item_row_schema`, and `effective_at`: when the item's newest event was received. A row as of an
        earlier moment does not exist, so that no count tells of the future.

    Raises:
        DataError: the catalogue's file is damaged.
    """
    types = schema.items_frame_schema()
    listed = read_catalogue_file(workspace.items_file, types) if workspace.items_file.is_file() else types.to_frame()
    counted = EventLog(workspace.event_log).item_counts(upto=position)
    rows = listed.rename(item_fields(schema)).join(counted, on=columns.ITEM_ID, how="full", coalesce=True)
    filled = rows.with_columns(
        pl.col(columns.EVENT_COUNT).fill_null(0),
        pl.lit(position, dtype=pl.Int64).alias(columns.LOG_POSITION),
        pl.col(columns.RECEIVED_AT).fill_null(BEGINNING).alias(columns.EFFECTIVE_AT),
    )
    return filled.select(*item_row_schema(schema).names(), columns.EFFECTIVE_AT).sort(columns.ITEM_ID)
