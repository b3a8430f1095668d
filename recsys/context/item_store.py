"""Items' rows in the feature store: written when features are materialised, read online or as of past moments.

Importing Feast takes seconds: import this module late.
"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from recsys import columns
from recsys.context.item_rows import item_row_schema
from recsys.context.joins import ASKED, point_in_time_join
from recsys.context.parts import replace_parts
from recsys.context.row_folders import item_row_folder
from recsys.context.row_writing import TIMESTAMP, stamped, write_online
from recsys.context.store import ITEM_VIEW, FeatureStoreAdapter
from recsys.events.lease import Guard
from recsys.failpoints import Failpoint, reached


class ItemStore:
    """Items' rows of one workspace.

    Args:
        features: its feature store, with the definitions applied.
    """

    def __init__(self, features: FeatureStoreAdapter) -> None:
        self._features = features
        self._version = features.item_version
        self._types = item_row_schema(features.schema)

    def write(self, rows: pl.DataFrame, token: int, guard: Guard) -> None:
        """Replaces the offline rows by these and brings them online; a row of a later log position stays.

        Args:
            rows: what `item_rows` returns.
            token: of the lease that is held.
            guard: entered for the moment in which files change (`FoldLease.guarded`).

        Raises:
            LeaseError: the lease is lost.
        """
        store = self._features.open().store
        replace_parts(item_row_folder(self._features.workspace, self._version), [stamped(rows)], guard)
        reached(Failpoint.MATERIALISE_ITEM_PART_REPLACED)
        with self._features.reported("write online rows of items"):
            write_online(store, rows.select(self._types.names()), [self._version.named(ITEM_VIEW)], token)

    def online(self, item_ids: Sequence[str]) -> pl.DataFrame:
        """The rows as of the last materialisation: columns of `item_row_schema`, in the order asked.

        Nulls where nobody knows the item; an empty list may have been a missing one.
        """
        store = self._features.open().store
        with self._features.reported("read online rows of items"):
            reply = store.get_online_features(
                features=self._references(), entity_rows=[{columns.ITEM_ID: item_id} for item_id in item_ids]
            ).to_dict()
        return pl.DataFrame({name: reply[name] for name in self._types}, schema=self._types)

    def as_of(self, item_ids: Sequence[str], moments: Sequence[int]) -> pl.DataFrame:
        """The rows that held strictly before moments: columns of `item_row_schema`, in the order asked.

        There is one row an item, which holds since its newest event was received; before, everything is null.

        Args:
            item_ids: the items.
            moments: microseconds, one an item.
        """
        store = self._features.open().store
        asked = pl.DataFrame(
            {columns.ITEM_ID: list(item_ids), columns.EVENT_TIMESTAMP: list(moments)},
            schema={columns.ITEM_ID: pl.String(), columns.EVENT_TIMESTAMP: pl.Int64()},
        ).with_row_index(ASKED)
        moment = (pl.col(columns.EVENT_TIMESTAMP) - 1).cast(TIMESTAMP)
        entities = asked.with_columns(pl.col(ASKED).cast(pl.Int64), moment)
        with self._features.reported("read items as of past moments"):
            found = point_in_time_join(store, entities, self._references()).sort(ASKED)
        return found.select(pl.col(name).cast(dtype) for name, dtype in self._types.items())

    def _references(self) -> list[str]:
        view = self._version.named(ITEM_VIEW)
        return [f"{view}:{name}" for name in self._types if name != columns.ITEM_ID]
