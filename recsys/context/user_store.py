"""Users' rows in the feature store: written offline and online, read online or as of past moments.

It knows rows and stores, not what a row is made of (`folding`) nor when one is stale (`reader`). Importing Feast
takes seconds: import this module late.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import polars as pl

from recsys import columns
from recsys.context.joins import ASKED, point_in_time_join
from recsys.context.layout import configuration_file
from recsys.context.parts import replace_parts
from recsys.context.row_folders import user_row_folder
from recsys.context.row_writing import TIMESTAMP, stamped, write_online
from recsys.context.rows import FOREVER, row_schema
from recsys.context.store import USER_VIEWS, FeatureStoreAdapter
from recsys.events.lease import Guard

SHARDED_FROM = 10_000
"""Fewer moments than this are joined in the process itself: starting Ray would take longer."""

_LATEST_MOMENT = int(datetime(9999, 1, 1, tzinfo=UTC).timestamp()) * 1_000_000
_EARLIEST_MOMENT = int(datetime(1800, 1, 1, tzinfo=UTC).timestamp()) * 1_000_000


class UserStore:
    """Users' rows of one version of the features.

    Args:
        features: the workspace's feature store.
    """

    def __init__(self, features: FeatureStoreAdapter) -> None:
        self.features = features
        self._workspace = features.workspace
        self._version = features.version
        self._columns = row_schema(features.schema)

    def write_offline(self, chunks: Iterable[pl.DataFrame], guard: Guard) -> list[Path]:
        """Replaces the offline rows by these, atomically: readers see the old parts, both, or the new ones.

        Seeing both is harmless: of two rows of one moment the one folded later wins.

        Args:
            chunks: what `RowFolder.cuts` returns, for some users each; only one of them is held at a time.
            guard: entered for the moment in which the files change (`FoldLease.guarded`).

        Returns:
            The parquet parts, one a chunk.
        """
        return replace_parts(user_row_folder(self._workspace, self._version), map(stamped, chunks), guard)

    def materialise(self, token: int) -> int:
        """Brings each user's newest offline row online, part by part; a live row that was folded later stays.

        The rows go through Feast's `write_to_online_store`, not through `feast materialize`: that one would take the
        time of a user's last event for the row's version, and a late event changes a row without moving that time.

        Args:
            token: of the lease that is held.

        Returns:
            How many users' rows were written.

        Raises:
            LeaseError: the lease is lost.
        """
        users = 0
        for part in sorted(user_row_folder(self._workspace, self._version).glob("*.parquet")):
            now = pl.scan_parquet(part).filter(pl.col(columns.VALID_UNTIL) == FOREVER)
            newest = now.select(self._columns.names()).collect()
            self.push(newest, token)
            users += newest.height
        return users

    def push(self, rows: pl.DataFrame, token: int) -> None:
        """Writes rows online. A row folded at an earlier log position than the stored one changes nothing.

        Args:
            rows: columns of `row_schema`, for example what `RowFolder.now` returns.
            token: of the lease that was held before the rows were folded.

        Raises:
            LeaseError: the lease is lost.
        """
        views = [self._version.named(view) for view in USER_VIEWS]
        with self.features.reported("write online rows"):
            write_online(self.features.open().store, rows.select(self._columns.names()), views, token)

    def read_online(self, user_ids: Sequence[str]) -> Mapping[str, Sequence[object]]:
        """The stored online rows, as they are.

        Args:
            user_ids: at least one.

        Returns:
            Columns of `row_schema`, one value a user in that order; all null but the id for a user without a row.

        Raises:
            StoreTimeoutError: a time budget is running, and it was not enough.
        """
        rows = self.features.open().rows
        with self.features.reported("read online rows"):
            return rows.read(user_ids)

    def read_as_of(self, moments: pl.DataFrame) -> pl.DataFrame:
        """The newest offline row strictly before each moment, by Feast's point-in-time join in DuckDB.

        Args:
            moments: user_id, effective_at.

        Returns:
            `moments` with the columns of `row_schema` and `valid_until`, in the order of `moments`; null where the
            user has no row, everywhere while the store is being built anew and has no parts yet.

        Raises:
            FeatureStoreError: the join lost or invented rows.
        """
        service = self.features.open().service
        if not any(user_row_folder(self._workspace, self._version).glob("*.parquet")):
            types = {**self._columns, columns.VALID_UNTIL: pl.Int64()}
            nothing = (pl.lit(None, dtype).alias(name) for name, dtype in types.items() if name != columns.USER_ID)
            return moments.select(columns.USER_ID, columns.EFFECTIVE_AT).with_columns(nothing)
        last_moment = pl.col(columns.EFFECTIVE_AT).clip(_EARLIEST_MOMENT, _LATEST_MOMENT) - 1
        asked = moments.select(columns.USER_ID, columns.EFFECTIVE_AT).with_row_index(ASKED)
        entities = asked.select(
            pl.col(ASKED).cast(pl.Int64), columns.USER_ID, last_moment.cast(TIMESTAMP).alias(columns.EVENT_TIMESTAMP)
        )
        references = [
            f"{view.name}:{field.name}" for view in service.feature_view_projections for field in view.features
        ]
        validity = f"{self._version.named('user_row_validity')}:{columns.VALID_UNTIL}"
        with self.features.reported("read rows as of past moments"):
            found = self._joined(entities, [*references, validity])
        features = [name for name in self._columns if name != columns.USER_ID]
        return asked.join(
            found.select(pl.col(ASKED).cast(asked.schema[ASKED]), *features, columns.VALID_UNTIL),
            on=ASKED,
            how="left",
            maintain_order="left",
        ).drop(ASKED)

    def _joined(self, entities: pl.DataFrame, references: Sequence[str]) -> pl.DataFrame:
        if self.features.engine.join_shards == 1 or entities.height < SHARDED_FROM:
            return point_in_time_join(self.features.open().store, entities, references)

        from recsys.context.sharding import join_in_shards

        return join_in_shards(
            configuration_file(self._workspace), entities, references, self.features.engine.join_shards
        )
