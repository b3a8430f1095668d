"""Where a workspace's runs and models are tracked: its own sqlite file, or a tracking server that a team shares.

`tracking.toml` in the workspace's folder or `$RECSYS_TRACKING_URI`, which wins, names a server. Its credentials are
MLflow's own variables and stand in no file of ours.
"""

from __future__ import annotations

import os
import tomllib
from http import HTTPStatus
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from requests import RequestException

from recsys.errors import ConfigError, RegistryError
from recsys.workspace import Workspace

EMBEDDED = "sqlite"
URI_VARIABLE = "RECSYS_TRACKING_URI"
USERNAME_VARIABLE, PASSWORD_VARIABLE = "MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"
TOKEN_VARIABLE = "MLFLOW_TRACKING_TOKEN"
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_PROBE = "/api/2.0/mlflow/registered-models/search"
_STARTED_BY = "Start it (`make mlflow-server` for this machine's own)"


class TrackingServer(BaseModel):
    """Settings of one workspace's tracking.

    Attributes:
        uri: "sqlite", or a tracking server: `https://…`, or `http://…` on this machine.
        timeout_seconds: how long the server may take to say that it is there.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    uri: str = EMBEDDED
    timeout_seconds: float = Field(default=10.0, gt=0)

    @classmethod
    def of(cls, workspace: Workspace) -> Self:
        """The settings of a workspace: its file, overridden by the environment, else its own sqlite file.

        Raises:
            ConfigError: an unknown key, a value of the wrong type, an address that is none or that holds a password.
        """
        file = settings_file(workspace)
        settings = _from_file(file) if file.is_file() else {}
        where = str(file)
        if os.environ.get(URI_VARIABLE):
            settings["uri"] = os.environ[URI_VARIABLE]
            where = f"${URI_VARIABLE}"
        try:
            found = cls.model_validate(settings)
        except ValidationError as error:
            wrong = "; ".join(f"`{entry['loc'][0]}`: {entry['msg']}" for entry in error.errors(include_input=False))
            raise ConfigError(f"{file} is wrong: {wrong}. It takes {', '.join(cls.model_fields)}.") from None
        if found.uri != EMBEDDED:
            _check_address(found.uri, where)
        return found

    @property
    def embedded(self) -> bool:
        """Whether there is no server: everything is in the home's own files."""
        return self.uri == EMBEDDED

    def check(self) -> None:
        """Asks the server once, as whoever this process is: MLflow itself would try again for minutes.

        Raises:
            RegistryError: nobody answers there, the credentials are missing or refused, or it is no tracking server.
        """
        from mlflow.exceptions import MlflowException
        from mlflow.utils.credentials import get_default_host_creds
        from mlflow.utils.rest_utils import http_request

        who = get_default_host_creds(self.uri)  # type: ignore[no-untyped-call]
        try:
            answer = http_request(  # type: ignore[no-untyped-call]
                who,
                _PROBE,
                "GET",
                params={"max_results": 1},
                timeout=self.timeout_seconds,
                max_retries=0,
                raise_on_status=False,
            )
        except (MlflowException, RequestException) as error:
            raise RegistryError(
                f"The tracking server {self.uri} does not answer ({_reason(error)}). {_STARTED_BY}, or mend "
                f"`uri` in tracking.toml or ${URI_VARIABLE}."
            ) from error
        if answer.status_code in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            raise RegistryError(self._refused(answer.status_code, who.username, bool(who.token or who.auth)))
        if answer.status_code != HTTPStatus.OK:
            raise RegistryError(
                f"{self.uri} answers like no MLflow tracking server (HTTP {answer.status_code}): check "
                f"`uri` in tracking.toml or ${URI_VARIABLE}."
            )

    def _refused(self, status: int, user: str | None, by_token: bool) -> str:
        if not (user or by_token):
            return (
                f"The tracking server {self.uri} asks who you are, and no credentials are set: set "
                f"{USERNAME_VARIABLE} and {PASSWORD_VARIABLE} (or {TOKEN_VARIABLE})."
            )
        if status == HTTPStatus.FORBIDDEN:
            return f"The tracking server {self.uri} knows you and does not let you read models: ask its administrator."
        known_as = f"of '{user}'" if user else "in the token"
        return f"The tracking server {self.uri} refuses the credentials {known_as}: check {PASSWORD_VARIABLE}."


def settings_file(workspace: Workspace) -> Path:
    """Where the settings of a workspace's tracking lie; usually there is no such file."""
    return workspace.root / "tracking.toml"


def _from_file(file: Path) -> dict[str, object]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{file} cannot be read: {error}") from error


def _check_address(uri: str, where: str) -> None:
    try:
        parts = urlsplit(uri)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host, parts = None, urlsplit("")
    if parts.scheme not in ("http", "https") or not host or parts.query or parts.fragment:
        raise ConfigError(
            f'The tracking server in {where} is no address: it must be "{EMBEDDED}" or begin with https://, for '
            "example https://mlflow.example"
        )
    if parts.username or parts.password:
        raise ConfigError(
            f"The tracking server's address in {where} holds a user or password. Take them out and set "
            f"{USERNAME_VARIABLE} and {PASSWORD_VARIABLE}."
        )
    if parts.scheme == "http" and host not in _LOOPBACK:
        raise ConfigError(
            f"The tracking server in {where} is asked over plain http, which shows its password to the network: use "
            f"https://{host}. Only this machine's own may be http."
        )


def _reason(error: Exception) -> str:
    """The innermost cause in a line: libraries wrap a refused connection five times."""
    cause: BaseException = error
    while cause.__cause__ or cause.__context__:
        cause = cause.__cause__ or cause.__context__ or cause
    return str(cause).strip().splitlines()[0] if str(cause).strip() else type(cause).__name__
