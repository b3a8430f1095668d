"""Which engines a workspace's feature store runs on: a few settings, read and checked. No Feast and no connection here.

Embedded is the default: everything in sqlite files of the workspace. `feature_store.toml` in the workspace's folder,
or environment variables, which win, say otherwise.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from recsys.errors import ConfigError
from recsys.workspace import Workspace

EMBEDDED = "sqlite"
VARIABLES = {
    "registry": "RECSYS_FEATURE_REGISTRY",
    "online_store": "RECSYS_ONLINE_STORE",
    "read_timeout_ms": "RECSYS_READ_TIMEOUT_MS",
    "join_shards": "RECSYS_JOIN_SHARDS",
}
SCHEMES = {"registry": ("postgresql+psycopg",), "online_store": ("redis", "rediss")}
_CLIENTS = {"registry": ("postgres", "psycopg"), "online_store": ("redis", "redis")}
_EXAMPLES = {
    "registry": "postgresql+psycopg://recsys:${REGISTRY_PASSWORD}@db.example:5432/recsys",
    "online_store": "rediss://:${REDIS_PASSWORD}@cache.example:6379/0",
}

_REFERENCE = re.compile(r"\$\{(\w+)\}")
_UNSAFE = re.compile(r"[\s\"'\\\x00-\x1f]")

Service = Literal["registry", "online_store"]


class Engine(BaseModel):
    """Settings of one workspace's feature store.

    Attributes:
        registry: "sqlite", or the URL of a PostgreSQL database (`postgresql+psycopg://`).
        online_store: "sqlite", or the URL of a Redis server (`redis://`, `rediss://`).
        read_timeout_ms: how long a read on behalf of the scoring service may take; then it answers without the store.
        join_shards: into how many Ray tasks a point-in-time join is split; 1 joins in the process itself.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    registry: str = EMBEDDED
    online_store: str = EMBEDDED
    read_timeout_ms: int = Field(default=250, ge=1)
    join_shards: int = Field(default=1, ge=1, le=10_000)

    @classmethod
    def of(cls, workspace: Workspace) -> Self:
        """The engine of a workspace: its file, overridden by the environment, else everything embedded.

        Raises:
            ConfigError: an unknown key, a value of the wrong type or scheme, a password in clear in the file.
        """
        file = settings_file(workspace)
        settings = _from_file(file) if file.is_file() else {}
        from_environment = {key: variable for key, variable in VARIABLES.items() if os.environ.get(variable)}
        for key, variable in from_environment.items():
            settings[key] = f"${{{variable}}}" if key in SCHEMES else os.environ[variable]
        try:
            engine = cls.model_validate(settings)
        except ValidationError as error:
            raise ConfigError(_explained(error, file, from_environment)) from None
        for service in SCHEMES:
            if getattr(engine, service) != EMBEDDED:
                engine.url(service)  # type: ignore[arg-type]
                _check_installed(service)
        return engine

    @property
    def embedded(self) -> bool:
        """Whether nothing is shared with other workspaces."""
        return self.registry == self.online_store == EMBEDDED

    def url(self, service: Service) -> str:
        """The service's URL with its secrets in it: for a connection, never for a file or a message.

        Raises:
            ConfigError: a variable is not set, or the URL is none of the service.
        """
        resolved = _resolved(getattr(self, service), service)
        if _UNSAFE.search(resolved):
            raise ConfigError(f"The URL of `{service}` holds blanks, quotes or backslashes; percent-encode them.")
        parts = urlsplit(resolved)
        if parts.scheme not in SCHEMES[service] or not parts.hostname:
            raise ConfigError(
                f'`{service}` of the feature store must be "{EMBEDDED}" or a URL that begins with '
                f"{' or '.join(f'{scheme}://' for scheme in SCHEMES[service])}, for example {_EXAMPLES[service]}."
            )
        return resolved

    def without_secrets(self, text: str) -> str:
        """The text with every URL and password of this engine blotted out."""
        for service in SCHEMES:
            if getattr(self, service) == EMBEDDED:
                continue
            url = self.url(service)  # type: ignore[arg-type]
            for secret in filter(None, (url, urlsplit(url).password)):
                text = text.replace(secret, "***")
        return text


def settings_file(workspace: Workspace) -> Path:
    """Where the settings of a workspace's feature store lie; usually there is no such file."""
    return workspace.root / "feature_store.toml"


def _check_installed(service: str) -> None:
    extra, package = _CLIENTS[service]
    if find_spec(package) is None:
        raise ConfigError(f"`{service}` needs the package {package}: pip install 'recsys[{extra}]'.")


def _from_file(file: Path) -> dict[str, Any]:
    try:
        settings = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{file} cannot be read: {error}") from error
    for service in SCHEMES:
        _check_no_secret(settings.get(service), service, file)
    return settings


def _check_no_secret(value: object, service: str, file: Path) -> None:
    if not isinstance(value, str):
        return
    if "$" in _REFERENCE.sub("", value):
        raise ConfigError(f"`{service}` in {file} holds a $ that is not of the form ${{NAME}}; percent-encode it: %24.")
    password = urlsplit(_REFERENCE.sub("", value)).password
    if password:
        raise ConfigError(
            f"`{service}` in {file} holds a password in clear. Put it into an environment variable and write its name: "
            f"{_EXAMPLES[service]}"
        )


def _resolved(value: str, service: str) -> str:
    def replacement(found: re.Match[str]) -> str:
        name = found.group(1)
        if not os.environ.get(name):
            raise ConfigError(f"`{service}` of the feature store needs the environment variable {name}; it is not set.")
        return os.environ[name]

    return _REFERENCE.sub(replacement, value)


def _explained(error: ValidationError, file: Path, from_environment: Mapping[str, str]) -> str:
    wrong = []
    for problem in error.errors(include_url=False, include_input=False):
        key = str(problem["loc"][0])
        where = f"${from_environment[key]}" if key in from_environment else f"`{key}` in {file}"
        if problem["type"] == "extra_forbidden":
            wrong.append(f"{where} is unknown (known: {', '.join(Engine.model_fields)})")
        else:
            wrong.append(f"{where}: {problem['msg']}")
    return f"The settings of the feature store are wrong: {'; '.join(wrong)}."
