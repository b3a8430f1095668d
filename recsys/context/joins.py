"""Feast's point-in-time join in DuckDB, checked: as many rows come back as were asked for. It knows no workspace."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import polars as pl

from recsys.context.feast_calls import own_duckdb
from recsys.errors import FeatureStoreError

if TYPE_CHECKING:
    from feast import FeatureStore

ASKED = "asked"
"""The column that numbers the rows that are asked for."""


def point_in_time_join(store: FeatureStore, entities: pl.DataFrame, references: Sequence[str]) -> pl.DataFrame:
    """The newest offline row at or before each moment.

    Args:
        store: Feast's store.
        entities: `asked`, distinct numbers; user_id; event_timestamp.
        references: the features, `view:feature` each.

    Returns:
        `entities` and the features, in any order; null where the user has no row.

    Raises:
        FeatureStoreError: rows were lost or invented.
    """
    with own_duckdb():
        job = store.get_historical_features(entity_df=entities.to_pandas(), features=list(references))
        found = pl.DataFrame(pl.from_arrow(job.to_arrow()))
    check_complete(entities, found)
    return found


def check_complete(entities: pl.DataFrame, found: pl.DataFrame) -> None:
    """Raises: FeatureStoreError when not each of the entities came back exactly once."""
    if not found[ASKED].cast(pl.Int64).sort().equals(entities[ASKED].cast(pl.Int64).sort()):
        raise FeatureStoreError(
            f"The point-in-time join returned {found.height} rows for {entities.height} moments, or other ones than "
            "were asked for. The offline rows may have been replaced meanwhile: materialise and read again"
        )
