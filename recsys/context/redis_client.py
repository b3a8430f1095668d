"""Connections to the Redis server under an online store, and what recsys keeps there beside the rows. No Feast here.

Reads for the scoring service go through a client that gives up early, everything else through a patient one.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.retry import Retry

from recsys.context.engine import Engine
from recsys.deadline import seconds_left
from recsys.errors import FeatureStoreError, StoreTimeoutError

_CONNECT_SECONDS = 5.0
_PATIENCE_SECONDS = 30.0
_REWRITE_SECONDS = 300.0
_log = logging.getLogger(__name__)
_KEYS_AT_ONCE = 1_000


class RedisClients:
    """Two pools to one server, made when first used.

    Args:
        url: where it is, secrets included.
        read_timeout: seconds that a read with a time budget waits for the server, to connect or to answer.
    """

    def __init__(self, url: str, read_timeout: float) -> None:
        self._making = threading.Lock()
        self._url, self._read_timeout = url, read_timeout
        self._patient: Redis | None = None
        self._hasty: Redis | None = None

    @property
    def patient(self) -> Redis:
        """For writes and jobs."""
        with self._making:
            if self._patient is None:
                self._patient = _client(self._url, _CONNECT_SECONDS, _PATIENCE_SECONDS)
            return self._patient

    @property
    def reading(self) -> Redis:
        """For reads: hasty inside a time budget, else patient."""
        if seconds_left() is None:
            return self.patient
        with self._making:
            if self._hasty is None:
                self._hasty = _client(self._url, self._read_timeout, self._read_timeout)
            return self._hasty


def fence_key(project: str) -> str:
    """The key that holds the largest fencing token seen."""
    return f"{project}:fence"


def folded_key(project: str, version: str) -> str:
    """The key that holds the log position up to which every event is in its user's row of that version."""
    return f"{project}:folded_up_to:{version}"


def mark_materialised(engine: Engine, project: str, materialisation: str) -> None:
    """Notes beside the rows which materialisation they are of: Redis may lose them, and nobody else would know."""
    with _reachable(engine), _brief(engine) as client:
        client.set(_marker(project), materialisation)


def materialisation(engine: Engine, project: str) -> str | None:
    """The mark that is there; None in a store that has none, or has lost it."""
    with _reachable(engine), _brief(engine) as client:
        found: Any = client.get(_marker(project))
    return None if found is None else str(found.decode())


def is_materialised(engine: Engine, project: str, materialisation: str) -> bool:
    """Whether the rows of that materialisation are still there."""
    with _reachable(engine), _brief(engine) as client:
        return bool(client.get(_marker(project)) == materialisation.encode())


def forget_rows(engine: Engine, project: str) -> None:
    """Removes the project's rows, marks and fence: what comes next may be of another log with leases of its own."""
    with _reachable(engine), _brief(engine) as client:
        client.delete(_marker(project), fence_key(project))
        for key in client.scan_iter(match=f"{_literal(folded_key(project, ''))}*", count=_KEYS_AT_ONCE):
            client.delete(key)
        for keys in row_keys(client, project):
            client.unlink(*keys)


def row_keys(client: Redis, project: str) -> Iterator[list[bytes]]:
    """The keys of the project's rows, a thousand at a time; one may come twice."""
    keys = client.scan_iter(match=f"*{_literal(project)}", count=_KEYS_AT_ONCE)
    while batch := list(islice(keys, _KEYS_AT_ONCE)):
        yield batch


def forget_files(engine: Engine) -> None:
    """`rewrite_files` for whoever has no client."""
    with _reachable(engine), _brief(engine) as client:
        rewrite_files(client)


def rewrite_files(client: Redis) -> None:
    """Has the server write its files anew from what it holds now: they keep what was removed until then.

    Raises:
        FeatureStoreError: it did not in time. A server that lets nobody ask for it is its operator's to rewrite.
    """
    try:
        persistence: Any = client.info("persistence")
        if persistence["aof_enabled"]:
            _written_anew(client, client.bgrewriteaof)
        settings: Any = client.config_get("save")
        if settings["save"]:
            _written_anew(client, client.bgsave)
    except ResponseError as error:
        _log.warning("Redis did not rewrite its files, which may keep what was removed for a while: %s", error)


def _written_anew(client: Redis, ask: Callable[[], Any]) -> None:
    deadline = time.monotonic() + _REWRITE_SECONDS
    _wait_until_idle(client, deadline)
    ask()
    _wait_until_idle(client, deadline)


def _wait_until_idle(client: Redis, deadline: float) -> None:
    while True:
        now: Any = client.info("persistence")
        if not any(
            now[name] for name in ("aof_rewrite_in_progress", "aof_rewrite_scheduled", "rdb_bgsave_in_progress")
        ):
            return
        if time.monotonic() > deadline:
            raise FeatureStoreError(
                "Redis takes too long to rewrite its files. What was removed is out of use; run "
                "the command again to remove its last bytes."
            )
        time.sleep(0.05)


@contextmanager
def translated() -> Iterator[None]:
    """Raises: StoreTimeoutError instead of Redis's own while a time budget is running."""
    try:
        yield
    except RedisTimeoutError as error:
        if seconds_left() is None:
            raise
        raise StoreTimeoutError("Redis did not answer within the time budget of this read.") from error


def _client(url: str, connect_seconds: float, seconds: float) -> Redis:
    """Tries once more on a connection that the server had closed, never after a time-out, and never sleeps."""
    retry = Retry(NoBackoff(), 1, supported_errors=(RedisConnectionError,))
    return Redis.from_url(url, socket_connect_timeout=connect_seconds, socket_timeout=seconds, retry=retry)


@contextmanager
def _brief(engine: Engine) -> Iterator[Redis]:
    client = _client(engine.url("online_store"), _CONNECT_SECONDS, _PATIENCE_SECONDS)
    try:
        yield client
    finally:
        client.close()


@contextmanager
def _reachable(engine: Engine) -> Iterator[None]:
    try:
        yield
    except RedisError as error:
        raise FeatureStoreError(
            f"The online store on Redis does not answer: {engine.without_secrets(str(error))}. Is the server of "
            "`online_store` running, and is its password right?"
        ) from None


def _marker(project: str) -> str:
    return f"{project}:materialised"


def _literal(project: str) -> str:
    return "".join(f"\\{letter}" if letter in r"*?[]\^-" else letter for letter in project)
