"""Feast's embedded online store made fit for live rows: many threads and processes, one writer, newer rows never lost.

It knows Feast's online-store interface and nothing of what the features mean. Feast's own sqlite store shares one
connection between threads, cuts timestamps to seconds and lets an older row overwrite a newer one.
"""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from feast import Entity, FeatureView, RepoConfig
from feast.infra.key_encoding_utils import serialize_entity_key
from feast.infra.online_stores.sqlite import SqliteOnlineStore, SqliteOnlineStoreConfig
from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from feast.protos.feast.types.Value_pb2 import Value

from recsys.context import fence
from recsys.context.fencing import writer
from recsys.context.online_connections import OnlineConnections
from recsys.context.online_values import Found, OnlineRow, microseconds_of, moment_of
from recsys.deadline import bounded
from recsys.failpoints import Failpoint, reached

_MOST_PARAMETERS = 30_000


class WalSqliteOnlineStoreConfig(SqliteOnlineStoreConfig):
    """Settings of the store.

    Attributes:
        type: the store's class path.
        busy_timeout_seconds: how long a writer waits for another one.
    """

    type: str = "recsys.context.online_store.WalSqliteOnlineStore"  # type: ignore[assignment]
    busy_timeout_seconds: float = 30.0


class WalSqliteOnlineStore(SqliteOnlineStore):
    """WAL, a connection per thread, microsecond timestamps; no row gives way to an older one, or to a late writer's."""

    def __init__(self) -> None:
        super().__init__()
        self._connections = OnlineConnections()

    def online_write_batch(
        self,
        config: RepoConfig,
        table: FeatureView,
        data: list[OnlineRow],
        progress: Callable[[int], Any] | None,
    ) -> None:
        """Upserts rows in one transaction; a row older than what is stored changes nothing.

        Raises:
            FencedOffError: the writer (`fencing.writer_token`) no longer holds the lease, or nobody said who it is.
        """
        rows = [
            (_key(config, entity_key), feature, value.SerializeToString(), microseconds_of(moment))
            for entity_key, values, moment, _ in data
            for feature, value in values.items()
        ]
        name = _table(config, table)
        connection = self._get_conn(config)
        with fence.fenced(connection, writer()):
            connection.executemany(
                f"INSERT INTO {name} (entity_key, feature_name, value, event_ts) VALUES (?, ?, ?, ?) "
                "ON CONFLICT (entity_key, feature_name) DO UPDATE SET value = excluded.value, "
                f"event_ts = excluded.event_ts WHERE excluded.event_ts >= {name}.event_ts",
                rows,
            )
        if progress is not None:
            progress(len(data))

    def online_read(
        self,
        config: RepoConfig,
        table: FeatureView,
        entity_keys: list[EntityKey],
        requested_features: list[str] | None = None,
    ) -> list[Found]:
        """One (timestamp, features) an entity key, in order; (None, None) where there is no row."""
        return self.online_read_views(config, [table], entity_keys)[0]

    def online_read_views(
        self, config: RepoConfig, tables: Sequence[FeatureView], entity_keys: list[EntityKey]
    ) -> list[list[Found]]:
        """What `online_read` gives for each view.

        Raises:
            StoreTimeoutError: a time budget is running, and it was not enough.
        """
        with bounded(self._get_conn(config), config.online_store.busy_timeout_seconds):
            keys = [_key(config, entity_key) for entity_key in entity_keys]
            return [self._read_or_nothing(config, table, keys) for table in tables]

    def _read_or_nothing(self, config: RepoConfig, table: FeatureView, keys: list[bytes]) -> list[Found]:
        """A store that is being built anew has no table yet, which says the same as a table without rows."""
        try:
            return self._read(config, table, keys)
        except sqlite3.OperationalError as error:
            if not str(error).startswith("no such table"):
                raise
            return [(None, None)] * len(keys)

    def _read(self, config: RepoConfig, table: FeatureView, keys: list[bytes]) -> list[Found]:
        distinct = list(dict.fromkeys(keys))
        connection = self._get_conn(config)
        found: dict[bytes, dict[str, Value]] = defaultdict(dict)
        moments: dict[bytes, int] = {}
        for start in range(0, len(distinct), _MOST_PARAMETERS):
            chunk = distinct[start : start + _MOST_PARAMETERS]
            query = (
                f"SELECT entity_key, feature_name, value, event_ts FROM {_table(config, table)} "
                f"WHERE entity_key IN ({','.join('?' * len(chunk))})"
            )
            for key, feature, stored, moment in connection.execute(query, chunk):
                found[key][feature] = Value.FromString(stored)
                moments[key] = moment
        return [(moment_of(moments[key]), found[key]) if key in moments else (None, None) for key in keys]

    def raise_fence(self, config: RepoConfig) -> None:
        """Shuts out every earlier holder of the lease from now on."""
        with fence.fenced(self._get_conn(config), writer()):
            pass

    def folded_up_to(self, config: RepoConfig, version: str) -> int:
        """The log position up to which every event is in its user's row of a version; 0 where there are no rows."""
        return fence.folded_up_to(self._get_conn(config), version)

    def note_folded(self, config: RepoConfig, version: str, position: int) -> None:
        """Keeps that every event up to this log position is in its user's row of that version."""
        connection = self._get_conn(config)
        with fence.fenced(connection, writer()):
            fence.note_folded(connection, version, position)

    def forget_folded(self, config: RepoConfig, version: str) -> None:
        """Keeps nothing of a version that has no rows any longer."""
        connection = self._get_conn(config)
        with fence.fenced(connection, writer()):
            fence.forget_folded(connection, version)

    def online_remove(self, config: RepoConfig, entity_keys: Sequence[EntityKey]) -> None:
        """Removes these entities' rows from every view of every version, and their bytes from the files."""
        connection = self._get_conn(config)
        keys = [(_key(config, entity_key),) for entity_key in entity_keys]
        with fence.fenced(connection, writer()):
            for name in _tables(connection):
                connection.executemany(f"DELETE FROM {name} WHERE entity_key = ?", keys)
        reached(Failpoint.DELETE_ROWS_GONE)
        self.scrub(config)

    def delete_older(self, config: RepoConfig, table: FeatureView, moment: datetime) -> None:
        """Removes a view's rows that were last written with an earlier timestamp."""
        connection = self._get_conn(config)
        with fence.fenced(connection, writer()):
            connection.execute(f"DELETE FROM {_table(config, table)} WHERE event_ts < ?", [microseconds_of(moment)])

    def scrub(self, config: RepoConfig) -> None:
        """Leaves no byte of rows that were removed in the file, its free pages and its write-ahead log."""
        fence.scrub(self._get_conn(config), self._get_db_path(config))

    def teardown(self, config: RepoConfig, tables: Sequence[FeatureView], entities: Sequence[Entity]) -> None:
        """Removes the database and its write-ahead log."""
        self._connections.close()
        for suffix in ("", "-wal", "-shm"):
            Path(self._get_db_path(config) + suffix).unlink(missing_ok=True)

    def _get_conn(self, config: RepoConfig) -> sqlite3.Connection:
        return self._connections.of(Path(self._get_db_path(config)), config.online_store.busy_timeout_seconds)


def _tables(connection: sqlite3.Connection) -> list[str]:
    """Every table of rows, also those of views that are defined no longer."""
    names = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    return [
        f'"{name}"'
        for name in names
        if any(column[1] == "entity_key" for column in connection.execute(f'PRAGMA table_info("{name}")'))
    ]


def _table(config: RepoConfig, table: FeatureView) -> str:
    return f'"{config.project}_{table.name}"'


def _key(config: RepoConfig, entity_key: EntityKey) -> bytes:
    return serialize_entity_key(entity_key, entity_key_serialization_version=config.entity_key_serialization_version)
