"""The service's API keys: made, listed and revoked. It knows files, not HTTP.

A key is 256 random bits and is kept as its SHA-256. A slow hash, as passwords need, would add nothing: there is no
list of likely keys to try, and it would cost every request what it costs an attacker.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
from collections.abc import Sequence
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
            sha256=digest_of(token),
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


def _read(path: Path) -> list[Key]:
    try:
        return read_keys(path)
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}.") from error


def read_keys(path: Path) -> list[Key]:
    """The keys of a file, none where there is no file.

    Raises:
        ConfigError: the file is damaged, or open to other accounts.
        OSError: it cannot be read now, though it may be later.
    """
    try:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_mode & 0o077:
                raise ConfigError(f"{path} can be read or changed by other accounts. Close it with: chmod 600 {path}")
            return list(_Keys.model_validate_json(file.read()).keys)
    except FileNotFoundError:
        return []
    except PermissionError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}.") from error
    except ValidationError as error:
        raise ConfigError(f"{path} is damaged. Remove it and make the keys again: recsys keys create") from error


def digest_of(token: str) -> str:
    """What is kept of a key: its SHA-256, hexadecimal."""
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()
