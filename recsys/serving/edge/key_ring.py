"""The API keys as a running service sees them. It knows the keys' file, not HTTP."""

from __future__ import annotations

import hmac
import logging
import math
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from recsys.errors import ConfigError
from recsys.serving.edge.keys import Key, digest_of, read_keys

_NOBODY = "0" * 64
_log = logging.getLogger(__name__)


class KeyRing:
    """The keys, looked up for each request: a change of the file counts from the next one on.

    While the file cannot be trusted nobody gets in. Where this process cannot read it for a moment (too many open
    files, a network disk), the keys of before stay in use, and it is tried again.

    Args:
        path: the file of a `KeyStore`.
        pause: seconds until it is tried again.
        clock: seconds.
    """

    def __init__(self, path: Path, *, pause: float = 1.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._pause = pause
        self._clock = clock
        self._next_try = -math.inf
        self._seen: object = None
        self._by_id: Mapping[str, Key] = {}

    def holder(self, token: str) -> Key | None:
        """The key that this is, if it is one; in a time that does not tell how much of it was right."""
        self._follow()
        _, _, rest = token.partition("_")
        key = self._by_id.get(rest.partition("_")[0])
        same = hmac.compare_digest(digest_of(token), _NOBODY if key is None else key.sha256)
        return key if same else None

    def _follow(self) -> None:
        stamp = _stamp(self._path)
        if stamp == self._seen or self._clock() < self._next_try:
            return
        try:
            self._by_id = {key.id: key for key in read_keys(self._path)}
        except ConfigError as error:
            _log.error("nobody can use a key: %s", error)
            self._by_id = {}
        except OSError as error:
            _log.warning("%s cannot be read, the keys of before stay in use: %s", self._path, error.strerror)
            self._next_try = self._clock() + self._pause
            return
        self._seen = stamp


def _stamp(path: Path) -> object:
    """Another value after each change: the file is replaced, never rewritten; a chmod counts as well."""
    try:
        found = os.stat(path)
    except OSError:
        return "none"
    return found.st_ino, found.st_mtime_ns, found.st_ctime_ns
