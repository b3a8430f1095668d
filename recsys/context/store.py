"""The one door to Feast: applies definitions, writes offline and online rows, reads them back as columns.

It knows rows and stores, not what a row is made of (`folding`) nor when one is stale (`reader`). Importing Feast
takes seconds: import this module late.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import polars as pl

from recsys import columns
from recsys.context.definitions import definitions_of, register, registered_versions
from recsys.context.engine import Engine
from recsys.context.feast_calls import quieten, release_registry, reported
from recsys.context.feature_schema import FeatureSchema
from recsys.context.fencing import writer_token
from recsys.context.item_rows import item_feature_schema
from recsys.context.joins import ASKED, point_in_time_join
from recsys.context.layout import configuration, configuration_file, is_configured_here
from recsys.context.parts import replace_parts
from recsys.context.row_folders import user_row_folder
from recsys.context.rows import FOREVER, feature_schema, row_schema
from recsys.data.schema import WorkspaceSchema
from recsys.durable import replace_file
from recsys.errors import FeatureStoreError
from recsys.events.lease import Guard
from recsys.failpoints import Failpoint, reached
from recsys.workspace import Workspace

with warnings.catch_warnings():  # importing Feast turns on every deprecation warning of the process
    from feast import FeatureService, FeatureStore
    from feast.errors import FeastObjectNotFoundException

    from recsys.context.online_rows import OnlineRows

ONLINE_VIEWS = ("user_context", "user_seen")
ITEM_VIEW = "item_features"
ROWS_A_WRITE = 1_000
SHARDED_FROM = 10_000
"""Fewer moments than this are joined in the process itself: starting Ray would take longer."""

_LATEST_MOMENT = int(datetime(9999, 1, 1, tzinfo=UTC).timestamp()) * 1_000_000
_EARLIEST_MOMENT = int(datetime(1800, 1, 1, tzinfo=UTC).timestamp()) * 1_000_000
TIMESTAMP = pl.Datetime("us", "UTC")


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
        self._columns = row_schema(schema)
        self._opening = threading.Lock()
        self._opened: Opened | None = None

    @property
    def views(self) -> tuple[str, ...]:
        """The online views of this version: of users, and of items."""
        return (*(self.version.named(view) for view in ONLINE_VIEWS), self.item_version.named(ITEM_VIEW))

    def apply(self) -> None:
        """Writes feature_store.yaml and registers the definitions. Can be repeated; rows are not touched."""
        file = configuration_file(self.workspace)
        replace_file(file, configuration(self.workspace, self.engine).encode())
        with self.reported("apply the feature definitions"):
            store = FeatureStore(fs_yaml_file=file)
            register(store, definitions_of(self.workspace, self.schema))
            release_registry(store)
        self._opened = None

    def write_offline(self, chunks: Iterable[pl.DataFrame], guard: Guard) -> list[Path]:
        """Replaces the offline rows by these, atomically: readers see the old parts, both, or the new ones.

        Seeing both is harmless: of two rows of one moment the one folded later wins.

        Args:
            chunks: what `RowFolder.cuts` returns, for some users each; only one of them is held at a time.
            guard: entered for the moment in which the files change (`FoldLease.guarded`).

        Returns:
            The parquet parts, one a chunk.
        """
        return replace_parts(user_row_folder(self.workspace, self.version), map(stamped, chunks), guard)

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
        for part in sorted(user_row_folder(self.workspace, self.version).glob("*.parquet")):
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
        views = [self.version.named(view) for view in ONLINE_VIEWS]
        with self.reported("write online rows"):
            self.write_online(rows.select(self._columns.names()), views, token)

    def write_online(self, rows: pl.DataFrame, views: Sequence[str], token: int) -> None:
        """Writes rows, `log_position` among their columns, into views by name: for users' and items' rows alike.

        Raises:
            LeaseError: the lease is lost.
        """
        store = self.open().store
        versioned = rows.with_columns(folded_at().alias(columns.EVENT_TIMESTAMP), folded_at())
        filled = versioned.with_columns(pl.col(pl.List(pl.String)).fill_null([]))
        with writer_token(token):
            for slice_ in filled.iter_slices(ROWS_A_WRITE):
                frame = slice_.to_pandas()
                for view in views:
                    store.write_to_online_store(view, frame)
                    reached(Failpoint.FOLD_VIEW_WRITTEN)

    def read_online(self, user_ids: Sequence[str]) -> Mapping[str, Sequence[object]]:
        """The stored online rows, as they are.

        Args:
            user_ids: at least one.

        Returns:
            Columns of `row_schema`, one value a user in that order; all null but the id for a user without a row.

        Raises:
            StoreTimeoutError: a time budget is running, and it was not enough.
        """
        rows = self.open().rows
        with self.reported("read online rows"):
            return rows.read(user_ids)

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
        service = self.open().service
        last_moment = pl.col(columns.EFFECTIVE_AT).clip(_EARLIEST_MOMENT, _LATEST_MOMENT) - 1
        asked = moments.select(columns.USER_ID, columns.EFFECTIVE_AT).with_row_index(ASKED)
        entities = asked.select(
            pl.col(ASKED).cast(pl.Int64), columns.USER_ID, last_moment.cast(TIMESTAMP).alias(columns.EVENT_TIMESTAMP)
        )
        references = [
            f"{view.name}:{field.name}" for view in service.feature_view_projections for field in view.features
        ]
        validity = f"{self.version.named('user_row_validity')}:{columns.VALID_UNTIL}"
        with self.reported("read rows as of past moments"):
            found = self._joined(entities, [*references, validity])
        features = [name for name in self._columns if name != columns.USER_ID]
        return asked.join(
            found.select(pl.col(ASKED).cast(asked.schema[ASKED]), *features, columns.VALID_UNTIL),
            on=ASKED,
            how="left",
            maintain_order="left",
        ).drop(ASKED)

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

    def _joined(self, entities: pl.DataFrame, references: Sequence[str]) -> pl.DataFrame:
        if self.engine.join_shards == 1 or entities.height < SHARDED_FROM:
            return point_in_time_join(self.open().store, entities, references)

        from recsys.context.sharding import join_in_shards

        return join_in_shards(configuration_file(self.workspace), entities, references, self.engine.join_shards)

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


def folded_at() -> pl.Expr:
    """When a row was folded, on a clock that counts log positions: strictly later for each later position."""
    return pl.col(columns.LOG_POSITION).cast(TIMESTAMP).alias(columns.CREATED_TIMESTAMP)


def stamped(rows: pl.DataFrame) -> pl.DataFrame:
    """Offline rows with Feast's two timestamps for `effective_at`: since when they hold, and when they were folded."""
    effective = pl.col(columns.EFFECTIVE_AT).cast(TIMESTAMP).alias(columns.EVENT_TIMESTAMP)
    return rows.with_columns(effective, folded_at()).drop(columns.EFFECTIVE_AT)
