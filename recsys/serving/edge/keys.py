"""The service's API keys: made, listed, revoked, and looked up for each request. It knows files, not HTTP.

A key is 256 random bits and is kept as its SHA-256. A slow hash, as passwords need, would add nothing: there is no
list of likely keys to try, and it would cost every request what it costs an attacker.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import os
import re
import secrets
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError

from recsys.durable import canonical_json, replace_file
from recsys.errors import ConfigError
from recsys.registry.locks import in_turn
from recsys.serving.edge.rates import parsed_rate
from recsys.serving.edge.scopes import Scope

_PREFIX = "rsk"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_NOBODY = "0" * 64
_log = logging.getLogger(__name__)


def _judged(rate: str | None) -> str | None:
    try:
        if rate is not None:
            parsed_rate(rate)
    except ConfigError as error:
        raise ValueError(str(error)) from error
    return rate


class Key(BaseModel):
    """One key, without the key itself.

    Attributes:
        name: who holds it.
        id: the part of it that is no secret and finds it.
        sha256: of the whole key, hexadecimal.
        scopes: what it allows.
        rate: how much, for example "100/s"; None for no limit.
        created_at: RFC 3339.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    id: str
    sha256: str
    scopes: tuple[Scope, ...]
    rate: Annotated[str | None, AfterValidator(_judged)]
    created_at: str

    def allows(self, scope: Scope) -> bool:
        """Whether its holder may use routes of that scope."""
        return scope in self.scopes or Scope.ADMIN in self.scopes


class _Keys(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    keys: tuple[Key, ...] = ()


class KeyStore:
    """The keys of one workspace, in a file that only its owner may read.

    Args:
        path: the file; it need not exist.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = path.with_name(f"{path.name}.lock")

    def create(self, name: str, scopes: Sequence[Scope], rate: str | None = None) -> str:
        """Makes a key.

        Args:
            name: letters, digits, dots, dashes and underscores, at most 64; used once.
            scopes: what it allows, at least one.
            rate: how much, for example "100/s", "1000/m" or "5000/h"; None for no limit.

        Returns:
            The key. It is kept nowhere.

        Raises:
            ConfigError: the name or the rate is none, or the name is taken.
        """
        if not _NAME.fullmatch(name):
            raise ConfigError(f"{name!r} cannot name a key: use letters, digits, '.', '-' and '_', 64 at most.")
        if rate is not None:
            parsed_rate(rate)
        key_id = secrets.token_hex(6)
        token = f"{_PREFIX}_{key_id}_{secrets.token_urlsafe(32)}"
        made = Key(
            name=name,
            id=key_id,
            sha256=_sha256(token),
            scopes=tuple(sorted(set(scopes))),
            rate=rate,
            created_at=datetime.now(UTC).isoformat(timespec="seconds"),
        )
        with in_turn(self._lock):
            held = self.listed()
            if any(key.name == name for key in held):
                raise ConfigError(f"There is a key named '{name}' already. Revoke it first, or take another name.")
            self._write([*held, made])
        return token

    def listed(self) -> list[Key]:
        """Every key, in the order they were made.

        Raises:
            ConfigError: the file is damaged, or open to other accounts.
        """
        return _read(self._path)

    def revoke(self, name: str) -> None:
        """Takes a key back, with immediate effect. Raises: ConfigError when there is none of that name."""
        with in_turn(self._lock):
            held = self.listed()
            left = [key for key in held if key.name != name]
            if len(left) == len(held):
                known = ", ".join(key.name for key in held) or "none"
                raise ConfigError(f"There is no key named '{name}' (there: {known}).")
            self._write(left)

    def _write(self, keys: Sequence[Key]) -> None:
        content = {"keys": [key.model_dump(mode="json") for key in keys]}
        replace_file(self._path, canonical_json(content), mode=0o600)


class KeyRing:
    """The keys as a running service sees them: a change of the file counts from the next request on.

    While the file cannot be used nobody gets in.

    Args:
        path: the file of a `KeyStore`.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: object = None
        self._by_id: Mapping[str, Key] = {}

    def holder(self, token: str) -> Key | None:
        """The key that this is, if it is one; in a time that does not tell how much of it was right."""
        self._follow()
        _, _, rest = token.partition("_")
        key = self._by_id.get(rest.partition("_")[0])
        same = hmac.compare_digest(_sha256(token), _NOBODY if key is None else key.sha256)
        return key if same else None

    def _follow(self) -> None:
        stamp = _stamp(self._path)
        if stamp == self._seen:
            return
        try:
            self._by_id = {key.id: key for key in _read(self._path)}
        except ConfigError as error:
            _log.error("nobody can use a key: %s", error)
            self._by_id = {}
        self._seen = stamp


def _stamp(path: Path) -> object:
    """Another value after each change: the file is replaced, never rewritten; a chmod counts as well."""
    try:
        found = os.stat(path)
    except OSError:
        return "none"
    return found.st_ino, found.st_mtime_ns, found.st_ctime_ns


def _read(path: Path) -> list[Key]:
    try:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_mode & 0o077:
                raise ConfigError(f"{path} can be read or changed by other accounts. Close it with: chmod 600 {path}")
            return list(_Keys.model_validate_json(file.read()).keys)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}.") from error
    except ValidationError as error:
        raise ConfigError(f"{path} is damaged. Remove it and make the keys again: recsys keys create") from error


def _sha256(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()
