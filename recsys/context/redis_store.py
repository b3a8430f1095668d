"""Feast's Redis online store made fit for live rows: newer rows never lost, writers fenced, reads within their time.

It keeps Feast's layout of keys and fields, so Feast's own clients can read it. Feast's own writes drop a row with an
equal timestamp and check it in one round trip but write in another: two writers lose a row.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, NoReturn

from feast import FeatureView, RepoConfig
from feast.infra.key_encoding_utils import serialize_entity_key
from feast.infra.online_stores.helpers import _mmh3
from feast.infra.online_stores.redis import RedisOnlineStore, RedisOnlineStoreConfig
from feast.infra.supported_async_methods import SupportedAsyncMethods
from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from feast.protos.feast.types.Value_pb2 import Value
from google.protobuf.timestamp_pb2 import Timestamp
from redis import Redis

from recsys.context.online_values import Found, OnlineRow, aware, microseconds_of, moment_of
from recsys.context.redis_client import RedisClients, fence_key, folded_key, rewrite_files, row_keys, translated
from recsys.context.redis_scripts import KEEP_LARGEST, RAISE, REMOVE, REMOVE_OLDER, WRITE, run
from recsys.failpoints import Failpoint, reached


class VersionedRedisOnlineStoreConfig(RedisOnlineStoreConfig):
    """Settings of the store.

    Attributes:
        type: the store's class path.
        url: `redis://…` or `rediss://…`; takes the place of Feast's `connection_string`.
        read_timeout_ms: how long a read with a time budget waits for the server.
    """

    type: str = "recsys.context.redis_store.VersionedRedisOnlineStore"  # type: ignore[assignment]
    url: str
    read_timeout_ms: int = 250


class VersionedRedisOnlineStore(RedisOnlineStore):
    """One hash a user with the rows of all views; each row carries its version, the log position, in microseconds."""

    _clients: RedisClients | None = None

    @property
    def async_supported(self) -> SupportedAsyncMethods:
        """Feast's asynchronous methods would go round the version and the fence."""
        return SupportedAsyncMethods(read=False, write=False)

    def online_write_batch(
        self,
        config: RepoConfig,
        table: FeatureView,
        data: list[OnlineRow],
        progress: Callable[[int], Any] | None,
    ) -> None:
        """Writes rows; one older than what is stored changes nothing, one as old replaces it. Each row is atomic.

        Raises:
            FencedOffError: a writer with a greater token was here; the rows that were left are not written.
        """
        version_field, moment_field = f"_version:{table.name}", f"_ts:{table.name}"
        calls = []
        for entity_key, values, moment, _ in data:
            arguments: list[Any] = [version_field, microseconds_of(moment), moment_field, _timestamp(moment)]
            for feature, value in values.items():
                arguments += (_mmh3(f"{table.name}:{feature}"), value.SerializeToString())
            calls.append((_key(config, entity_key), arguments))
        self._run(config, WRITE, calls)
        if progress is not None:
            progress(len(data))

    def online_remove(self, config: RepoConfig, entity_keys: Sequence[EntityKey]) -> None:
        """Removes the rows of these entities from every view of every version.

        Raises:
            FencedOffError: a writer with a greater token was here.
        """
        self._run(config, REMOVE, [(_key(config, entity_key), []) for entity_key in entity_keys])
        reached(Failpoint.DELETE_ROWS_GONE)
        self.scrub(config)

    def delete_older(self, config: RepoConfig, table: FeatureView, moment: datetime) -> None:
        """Removes a view's rows that were last written with an earlier timestamp."""
        fields = [f"_version:{table.name}", f"_ts:{table.name}"]
        arguments = [microseconds_of(moment), *fields, *(_mmh3(f"{table.name}:{part.name}") for part in table.features)]
        for keys in row_keys(self._of(config.online_store).patient, config.project):
            self._run(config, REMOVE_OLDER, [(key, arguments) for key in keys])

    def raise_fence(self, config: RepoConfig) -> None:
        """Shuts out every earlier holder of the lease from now on."""
        self._run(config, RAISE, [(fence_key(config.project), [])])

    def folded_up_to(self, config: RepoConfig, version: str) -> int:
        """The log position up to which every event is in its user's row of a version; 0 where there are no rows."""
        with translated():
            stored: Any = self._of(config.online_store).reading.get(folded_key(config.project, version))
        return int(stored or 0)

    def note_folded(self, config: RepoConfig, version: str, position: int) -> None:
        """Keeps that every event up to this log position is in its user's row of that version."""
        self._run(config, KEEP_LARGEST, [(folded_key(config.project, version), [position])])

    def forget_folded(self, config: RepoConfig, version: str) -> None:
        """Keeps nothing of a version that has no rows any longer."""
        self._run(config, REMOVE, [(folded_key(config.project, version), [])])

    def scrub(self, config: RepoConfig) -> None:
        """Leaves no byte of rows that were removed in the server's files, as far as it lets us."""
        rewrite_files(self._of(config.online_store).patient)

    def online_read(
        self,
        config: RepoConfig,
        table: FeatureView,
        entity_keys: list[EntityKey],
        requested_features: list[str] | None = None,
    ) -> list[Found]:
        """One (timestamp, features) an entity key, in order; (None, None) where there is no row."""
        wanted = requested_features or [feature.name for feature in table.features]
        return self._read(config, [(table.name, wanted)], entity_keys)[0]

    def online_read_views(
        self, config: RepoConfig, tables: Sequence[FeatureView], entity_keys: list[EntityKey]
    ) -> list[list[Found]]:
        """What `online_read` gives for each view; a user's views are read at one moment, in one round trip.

        Raises:
            StoreTimeoutError: a time budget is running and the server did not answer in time.
        """
        views = [(table.name, [feature.name for feature in table.features]) for table in tables]
        return self._read(config, views, entity_keys)

    def _read(
        self, config: RepoConfig, views: Sequence[tuple[str, list[str]]], entity_keys: list[EntityKey]
    ) -> list[list[Found]]:
        fields: list[str | bytes] = []
        for view, features in views:
            fields += [f"_version:{view}", *(_mmh3(f"{view}:{feature}") for feature in features)]
        with translated(), self._of(config.online_store).reading.pipeline(transaction=False) as pipe:
            for entity_key in entity_keys:
                pipe.hmget(_key(config, entity_key), fields)  # type: ignore[arg-type]
            replies = pipe.execute()
        found, start = [], 0
        for _, features in views:
            end = start + 1 + len(features)
            found.append([_row(features, reply[start:end]) for reply in replies])
            start = end
        return found

    def _run(self, config: RepoConfig, script: str, calls: Sequence[tuple[bytes | str, Sequence[Any]]]) -> list[int]:
        return run(self._of(config.online_store).patient, config.project, script, calls)

    def _of(self, settings: VersionedRedisOnlineStoreConfig) -> RedisClients:
        if self._clients is None:
            self._clients = RedisClients(settings.url, settings.read_timeout_ms / 1_000)
        return self._clients

    async def _get_client_async(self, online_store_config: RedisOnlineStoreConfig) -> NoReturn:
        raise NotImplementedError("Feast's asynchronous reads and writes know neither versions nor fences.")

    def _get_client(self, online_store_config: RedisOnlineStoreConfig) -> Redis:
        """For what is inherited: the removal of views that are no longer declared."""
        return self._of(online_store_config).patient  # type: ignore[arg-type]


def _row(features: Sequence[str], reply: Sequence[bytes | None]) -> Found:
    version, *values = reply
    if version is None or all(value is None for value in values):
        return None, None
    moment = moment_of(int(version))
    return moment, {
        feature: Value() if value is None else Value.FromString(value)
        for feature, value in zip(features, values, strict=True)
    }


def _key(config: RepoConfig, entity_key: EntityKey) -> bytes:
    version = config.entity_key_serialization_version
    return serialize_entity_key(entity_key, entity_key_serialization_version=version) + config.project.encode()


def _timestamp(moment: datetime) -> bytes:
    stamp = Timestamp()
    stamp.FromDatetime(aware(moment))
    return bytes(stamp.SerializeToString())
