"""The one door to Feast: applies definitions, writes offline and online rows, reads them back as columns.

It knows rows and stores, not what a row is made of (`folding`) nor when one is stale (`reader`). Importing Feast
takes seconds: import this module late.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import polars as pl

from recsys import columns
from recsys.context.definitions import definitions_of, register, registered_versions
from recsys.context.feast_calls import own_duckdb, quieten, reported
from recsys.context.feature_schema import FeatureSchema
from recsys.context.fencing import writer_token
from recsys.context.item_rows import item_feature_schema
from recsys.context.layout import configuration, configuration_file, is_configured_here
from recsys.context.online_values import read_values, views_of
from recsys.context.parts import replace_parts, write_text
from recsys.context.row_folders import user_row_folder
from recsys.context.rows import FOREVER, feature_schema, row_schema
from recsys.data.schema import WorkspaceSchema
from recsys.errors import FeatureStoreError
from recsys.events.lease import Guard
from recsys.failpoints import Failpoint, reached
from recsys.workspace import Workspace

with warnings.catch_warnings():  # importing Feast turns on every deprecation warning of the process
    from feast import FeatureService, FeatureStore, FeatureView
    from feast.errors import FeastObjectNotFoundException

ONLINE_VIEWS = ("user_context", "user_seen")
ITEM_VIEW = "item_features"
ROWS_A_WRITE = 1_000

_LATEST_MOMENT = int(datetime(9999, 1, 1, tzinfo=UTC).timestamp()) * 1_000_000
_EARLIEST_MOMENT = int(datetime(1800, 1, 1, tzinfo=UTC).timestamp()) * 1_000_000
TIMESTAMP = pl.Datetime("us", "UTC")
_ASKED = "asked"


class FeatureStoreAdapter:
    """One workspace's feature store.

    Args:
        workspace: the workspace.
        schema: its schema; decides which feature service is read.
    """

    def __init__(self, workspace: Workspace, schema: WorkspaceSchema) -> None:
        quieten()
        self.workspace = workspace
        self.schema = schema
        self.version = feature_schema(schema)
        self.item_version = item_feature_schema(schema)
        self._columns = row_schema(schema)
        self._opening = threading.Lock()
        self._opened: tuple[FeatureStore, FeatureService] | None = None
        self._views: tuple[FeatureView, ...] | None = None

    @property
    def views(self) -> tuple[str, ...]:
        """The online views of this version: of users, and of items."""
        return (*(self.version.named(view) for view in ONLINE_VIEWS), self.item_version.named(ITEM_VIEW))

    def apply(self) -> None:
        """Writes feature_store.yaml and registers the definitions. Can be repeated; rows are not touched."""
        file = configuration_file(self.workspace)
        file.parent.mkdir(parents=True, exist_ok=True)
        write_text(file, configuration(self.workspace))
        with reported("apply the feature definitions", self.workspace):
            register(FeatureStore(fs_yaml_file=file), definitions_of(self.workspace, self.schema))
        self._opened = self._views = None

    def write_offline(self, rows: pl.DataFrame, guard: Guard) -> Path:
        """Replaces the offline rows by these, atomically: readers see the old part, both, or the new one.

        Seeing both is harmless: of two rows of one moment the one folded later wins.

        Args:
            rows: what `RowFolder.cuts` returns.
            guard: entered for the moment in which the files change (`FoldLease.guarded`).

        Returns:
            The parquet part.
        """
        stamped = rows.with_columns(
            pl.col(columns.EFFECTIVE_AT).cast(TIMESTAMP).alias(columns.EVENT_TIMESTAMP), folded_at()
        )
        folder = user_row_folder(self.workspace, self.version)
        return replace_parts(folder, stamped.drop(columns.EFFECTIVE_AT), guard)

    def materialise(self, token: int) -> int:
        """Brings each user's newest offline row online; a live row that was folded later stays.

        The rows go through Feast's `write_to_online_store`, not through `feast materialize`: that one would take the
        time of a user's last event for the row's version, and a late event changes a row without moving that time.

        Args:
            token: of the lease that is held.

        Returns:
            How many users' rows were written.

        Raises:
            LeaseError: the lease is lost.
        """
        parts = pl.scan_parquet(user_row_folder(self.workspace, self.version) / "*.parquet")
        newest = parts.filter(pl.col(columns.VALID_UNTIL) == FOREVER).select(self._columns.names()).collect()
        self.push(newest, token)
        return newest.height

    def push(self, rows: pl.DataFrame, token: int) -> None:
        """Writes rows online. A row folded at an earlier log position than the stored one changes nothing.

        Args:
            rows: columns of `row_schema`, for example what `RowFolder.now` returns.
            token: of the lease that was held before the rows were folded.

        Raises:
            LeaseError: the lease is lost.
        """
        store, _ = self.open()
        versioned = rows.select(
            *self._columns.names(), folded_at().alias(columns.EVENT_TIMESTAMP), folded_at()
        ).with_columns(pl.col(pl.List(pl.String)).fill_null([]))
        with reported("write online rows", self.workspace), writer_token(token):
            for slice_ in versioned.iter_slices(ROWS_A_WRITE):
                frame = slice_.to_pandas()
                for view in ONLINE_VIEWS:
                    store.write_to_online_store(self.version.named(view), frame)
                    reached(Failpoint.FOLD_VIEW_WRITTEN)

    def read_online(self, user_ids: Sequence[str]) -> Mapping[str, Sequence[object]]:
        """The stored online rows, as they are.

        Args:
            user_ids: at least one.

        Returns:
            Columns of `row_schema`, one value a user in that order; all null but the id for a user without a row.
        """
        store, service = self.open()
        with reported("read online rows", self.workspace):
            if self._views is None:
                self._views = views_of(store, service)
            return read_values(store, self._views, user_ids)

    def read_as_of(self, moments: pl.DataFrame) -> pl.DataFrame:
        """The newest offline row strictly before each moment, by Feast's point-in-time join in DuckDB.

        Args:
            moments: user_id, effective_at.

        Returns:
            `moments` with the columns of `row_schema` and `valid_until`, in the order of `moments`; null where the
            user has no row.

        Raises:
            FeatureStoreError: the join lost or invented rows.
        """
        store, service = self.open()
        last_moment = pl.col(columns.EFFECTIVE_AT).clip(_EARLIEST_MOMENT, _LATEST_MOMENT) - 1
        asked = moments.select(columns.USER_ID, columns.EFFECTIVE_AT).with_row_index(_ASKED)
        entities = asked.select(
            pl.col(_ASKED).cast(pl.Int64), columns.USER_ID, last_moment.cast(TIMESTAMP).alias(columns.EVENT_TIMESTAMP)
        )
        references = [
            f"{view.name}:{field.name}" for view in service.feature_view_projections for field in view.features
        ]
        validity = f"{self.version.named('user_row_validity')}:{columns.VALID_UNTIL}"
        with reported("read rows as of past moments", self.workspace), own_duckdb():
            job = store.get_historical_features(entity_df=entities.to_pandas(), features=[*references, validity])
            found = pl.DataFrame(pl.from_arrow(job.to_arrow()))
        if found[_ASKED].sort().to_list() != list(range(asked.height)):
            raise FeatureStoreError(
                f"The point-in-time join of {self.workspace.name} returned {found.height} rows for {asked.height} "
                "moments. Materialise again: recsys features materialise --workspace " + self.workspace.name
            )
        features = [name for name in self._columns if name != columns.USER_ID]
        return asked.join(
            found.select(pl.col(_ASKED).cast(asked.schema[_ASKED]), *features, columns.VALID_UNTIL),
            on=_ASKED,
            how="left",
            maintain_order="left",
        ).drop(_ASKED)

    def open(self) -> tuple[FeatureStore, FeatureService]:
        with self._opening:
            if self._opened is None:
                self._opened = self._opened_anew()
            return self._opened

    def connect(self) -> FeatureStore:
        """The store, whatever features it has.

        Raises:
            FeatureStoreError: it was never made, or belongs to a workspace elsewhere.
        """
        file = configuration_file(self.workspace)
        if not file.is_file():
            raise self._missing({})
        if not is_configured_here(self.workspace):
            raise FeatureStoreError(
                f"{file} points to another folder than its own: the workspace was moved or copied. Make its feature "
                f"store anew with: recsys features materialise --rebuild --workspace {self.workspace.name}"
            )
        with reported("open the feature store", self.workspace):
            return FeatureStore(fs_yaml_file=file)

    def _opened_anew(self) -> tuple[FeatureStore, FeatureService]:
        store = self.connect()
        with reported("open the feature store", self.workspace):
            try:
                service = store.get_feature_service(self.version.service)
            except FeastObjectNotFoundException:
                raise self._missing(registered_versions(store)) from None
        return store, service

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


def folded_at() -> pl.Expr:
    """When a row was folded, on a clock that counts log positions: strictly later for each later position."""
    return pl.col(columns.LOG_POSITION).cast(TIMESTAMP).alias(columns.CREATED_TIMESTAMP)
