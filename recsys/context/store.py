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
from recsys.context.engine import Engine
from recsys.context.feast_calls import load_definitions, quieten, release_registry, reported
from recsys.context.joins import ASKED, point_in_time_join
from recsys.context.layout import configuration, configuration_file, is_configured_here, offline_rows
from recsys.context.parts import replace_parts, write_text
from recsys.context.rows import FOREVER, feature_service_name, row_schema
from recsys.data.schema import WorkspaceSchema
from recsys.errors import FeatureStoreError
from recsys.workspace import Workspace

with warnings.catch_warnings():  # importing Feast turns on every deprecation warning of the process
    from feast import FeatureService, FeatureStore
    from feast.errors import FeastObjectNotFoundException

    from recsys.context.online_rows import OnlineRows

ONLINE_VIEWS = ("user_context", "user_seen")
VALIDITY = "user_row_validity:valid_until"
ROWS_A_WRITE = 1_000
SHARDED_FROM = 10_000
"""Fewer moments than this are joined in the process itself: starting Ray would take longer."""

_LATEST_MOMENT = int(datetime(9999, 1, 1, tzinfo=UTC).timestamp()) * 1_000_000
_EARLIEST_MOMENT = int(datetime(1800, 1, 1, tzinfo=UTC).timestamp()) * 1_000_000
_TIMESTAMP = pl.Datetime("us", "UTC")


@dataclass(frozen=True, slots=True)
class _Opened:
    """Feast's store, the workspace's service in it, and the service's online rows."""

    store: FeatureStore
    service: FeatureService
    rows: OnlineRows


class FeatureStoreAdapter:
    """One workspace's feature store.

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
        self._columns = row_schema(schema)
        self._opening = threading.Lock()
        self._opened: _Opened | None = None

    def apply(self) -> None:
        """Writes feature_store.yaml and registers the definitions. Can be repeated; rows are not touched."""
        file = configuration_file(self.workspace)
        file.parent.mkdir(parents=True, exist_ok=True)
        write_text(file, configuration(self.workspace, self.engine))
        definitions = load_definitions()
        offline_rows(self.workspace).mkdir(parents=True, exist_ok=True)
        user = definitions.user_entity()
        source = definitions.user_source(offline_rows(self.workspace))
        context = definitions.user_context(user, source, self.schema)
        seen = definitions.user_seen(user, source)
        validity = definitions.user_row_validity(user, source)
        service = definitions.context_service(context, seen, self.schema)
        with self._reported("apply the feature definitions"):
            store = FeatureStore(fs_yaml_file=file)
            store.apply([user, source, context, seen, validity, service])
            release_registry(store)
        self._opened = None

    def write_offline(self, chunks: Iterable[pl.DataFrame]) -> list[Path]:
        """Replaces the offline rows by these, atomically: readers see the old parts, both, or the new ones.

        Seeing both is harmless: of two rows of one moment the one folded later wins.

        Args:
            chunks: what `RowFolder.cuts` returns, for some users each; only one of them is held at a time.

        Returns:
            The parquet parts, one a chunk.
        """
        return replace_parts(offline_rows(self.workspace), map(_stamped, chunks))

    def materialise(self) -> int:
        """Brings each user's newest offline row online, part by part; a live row that was folded later stays.

        The rows go through Feast's `write_to_online_store`, not through `feast materialize`: that one would take the
        time of a user's last event for the row's version, and a late event changes a row without moving that time.

        Returns:
            How many users' rows were written.
        """
        users = 0
        for part in sorted(offline_rows(self.workspace).glob("*.parquet")):
            now = pl.scan_parquet(part).filter(pl.col(columns.VALID_UNTIL) == FOREVER)
            newest = now.select(self._columns.names()).collect()
            self.push(newest)
            users += newest.height
        return users

    def push(self, rows: pl.DataFrame) -> None:
        """Writes rows online. A row folded at an earlier log position than the stored one changes nothing.

        Args:
            rows: columns of `row_schema`, for example what `RowFolder.now` returns.
        """
        store = self._open().store
        versioned = rows.select(
            *self._columns.names(), _version().alias(columns.EVENT_TIMESTAMP), _version()
        ).with_columns(pl.col(pl.List(pl.String)).fill_null([]))
        with self._reported("write online rows"):
            for slice_ in versioned.iter_slices(ROWS_A_WRITE):
                frame = slice_.to_pandas()
                for view in ONLINE_VIEWS:
                    store.write_to_online_store(view, frame)

    def read_online(self, user_ids: Sequence[str]) -> Mapping[str, Sequence[object]]:
        """The stored online rows, as they are.

        Args:
            user_ids: at least one.

        Returns:
            Columns of `row_schema`, one value a user in that order; all null but the id for a user without a row.

        Raises:
            StoreTimeoutError: a time budget is running, and it was not enough.
        """
        rows = self._open().rows
        with self._reported("read online rows"):
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
        service = self._open().service
        last_moment = pl.col(columns.EFFECTIVE_AT).clip(_EARLIEST_MOMENT, _LATEST_MOMENT) - 1
        asked = moments.select(columns.USER_ID, columns.EFFECTIVE_AT).with_row_index(ASKED)
        entities = asked.select(
            pl.col(ASKED).cast(pl.Int64), columns.USER_ID, last_moment.cast(_TIMESTAMP).alias(columns.EVENT_TIMESTAMP)
        )
        references = [
            f"{view.name}:{field.name}" for view in service.feature_view_projections for field in view.features
        ]
        with self._reported("read rows as of past moments"):
            found = self._joined(entities, [*references, VALIDITY])
        features = [name for name in self._columns if name != columns.USER_ID]
        return asked.join(
            found.select(pl.col(ASKED).cast(asked.schema[ASKED]), *features, columns.VALID_UNTIL),
            on=ASKED,
            how="left",
            maintain_order="left",
        ).drop(ASKED)

    def open(self) -> None:
        """Opens the store now rather than at the first read.

        Raises:
            FeatureStoreError: there are no features of this schema, or the registry cannot be reached.
        """
        self._open()

    def _joined(self, entities: pl.DataFrame, references: Sequence[str]) -> pl.DataFrame:
        if self.engine.join_shards == 1 or entities.height < SHARDED_FROM:
            return point_in_time_join(self._open().store, entities, references)

        from recsys.context.sharding import join_in_shards

        return join_in_shards(configuration_file(self.workspace), entities, references, self.engine.join_shards)

    def _open(self) -> _Opened:
        with self._opening:
            if self._opened is None:
                self._opened = self._opened_anew()
            return self._opened

    def _opened_anew(self) -> _Opened:
        missing = FeatureStoreError(
            f"The workspace '{self.workspace.name}' has no features of its present schema yet. "
            f"Make them with: recsys features materialise --workspace {self.workspace.name}"
        )
        file = configuration_file(self.workspace)
        if not file.is_file():
            raise missing
        if not is_configured_here(self.workspace, self.engine):
            raise FeatureStoreError(
                f"{file} is of another folder or other engines: the workspace was moved or copied, or its settings "
                f"changed. Make its feature store anew: recsys features materialise --rebuild "
                f"--workspace {self.workspace.name}"
            )
        with self._reported("open the feature store"):
            store = FeatureStore(fs_yaml_file=file)
            try:
                service = store.get_feature_service(feature_service_name(self.schema))
            except FeastObjectNotFoundException:
                raise missing from None
            if service.tags.get("schema_hash") != self.schema.feature_hash():
                raise missing
            opened = _Opened(store, service, OnlineRows(store, service))
            release_registry(store)
            return opened

    def _reported(self, what: str) -> AbstractContextManager[None]:
        return reported(what, self.workspace, self.engine)


def _version() -> pl.Expr:
    """When a row was folded, on a clock that counts log positions: strictly later for each later position."""
    return pl.col(columns.LOG_POSITION).cast(_TIMESTAMP).alias(columns.CREATED_TIMESTAMP)


def _stamped(rows: pl.DataFrame) -> pl.DataFrame:
    effective = pl.col(columns.EFFECTIVE_AT).cast(_TIMESTAMP).alias(columns.EVENT_TIMESTAMP)
    return rows.with_columns(effective, _version()).drop(columns.EFFECTIVE_AT)
