"""The one door to MLflow: the workspace's own tracking database or its team's server, its failures in our words.

Nothing here follows a URI from outside: a registry is code, so only the database at `workspace.tracking_database`
or the server that the workspace's settings name is ever opened.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

from recsys.durable import TEMPORARY_PREFIX
from recsys.errors import RegistryError
from recsys.registry.locks import in_turn
from recsys.registry.tracking_server import TrackingServer
from recsys.workspace import Workspace

if TYPE_CHECKING:
    from mlflow import MlflowClient

_QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_LOGGING_LEVEL": "ERROR",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_UV_AUTO_DETECT": "false",
    "GIT_PYTHON_REFRESH": "quiet",
    # A server that went away is told after seconds, not after the four minutes of MLflow's own seven tries.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "60",
}

_PATIENCE = 30.0
"""Seconds to wait for another process that is writing to the database."""


def tracking_uri(workspace: Workspace) -> str:
    """MLflow's address of the workspace's tracking database or server.

    Raises:
        ConfigError: the workspace's tracking settings are wrong.
    """
    server = TrackingServer.of(workspace)
    return f"sqlite:///{workspace.tracking_database}" if server.embedded else server.uri


def place(workspace: Workspace) -> str:
    """Where the workspace's models are registered, for a message: a file or a server's address."""
    server = TrackingServer.of(workspace)
    return str(workspace.tracking_database) if server.embedded else server.uri


def quieten() -> None:
    """Turns MLflow's telemetry, greetings and progress bars off, unless the environment says otherwise."""
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    level = logging.getLevelName(os.environ["MLFLOW_LOGGING_LEVEL"].upper())
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(level)


@contextmanager
def registry(workspace: Workspace) -> Iterator[MlflowClient]:
    """A client of the existing tracking database or server; their errors come out as RegistryError.

    Raises:
        ConfigError: the workspace's tracking settings are wrong.
        RegistryError: it is missing, damaged, busy, not to be reached, or refused what was asked.
    """
    _check(workspace)
    with _client(tracking_uri(workspace), place(workspace)) as client:
        yield client


@contextmanager
def new_registry(workspace: Workspace) -> Iterator[MlflowClient]:
    """Like `registry`, and makes the database where there is none: whole or not at all, by one of several processes."""
    if not TrackingServer.of(workspace).embedded:
        with registry(workspace) as client:
            yield client
        return
    path = workspace.tracking_database
    with in_turn(path.with_suffix(".lock")):
        if not path.exists():
            unfinished = path.with_name(f"{TEMPORARY_PREFIX}{uuid.uuid4().hex[:12]}.db")
            try:
                with _client(f"sqlite:///{unfinished}", str(unfinished)) as client:
                    client.search_registered_models(max_results=1)  # makes the registry's tables as well
                unfinished.rename(path)
            finally:
                unfinished.unlink(missing_ok=True)
    with registry(workspace) as client:
        yield client


def refuse_unreadable(workspace: Workspace) -> None:
    """To be asked before work whose result the registry must take; that there is none yet is no hindrance.

    Raises:
        ConfigError: the workspace's tracking settings are wrong.
        RegistryError: the database is damaged or not ours, or the server cannot be asked.
    """
    if exists(workspace):
        _check(workspace)


def exists(workspace: Workspace) -> bool:
    """Whether there is a registry to ask: a server always is one, a database once anything was tracked in this home."""
    return not TrackingServer.of(workspace).embedded or workspace.tracking_database.is_file()


@contextmanager
def _client(uri: str, where: str) -> Iterator[MlflowClient]:
    quieten()
    from mlflow.exceptions import MlflowException
    from requests import RequestException
    from sqlalchemy.exc import SQLAlchemyError

    from mlflow import MlflowClient

    try:
        yield MlflowClient(tracking_uri=uri, registry_uri=uri)
    except (MlflowException, SQLAlchemyError, sqlite3.Error, RequestException) as error:
        raise RegistryError(f"The model registry {where} failed: {_first_line(error)}") from error


def _check(workspace: Workspace) -> None:
    """Asks first: MLflow would make a missing database anew, and retry a damaged one or a silent server for minutes."""
    server = TrackingServer.of(workspace)
    if not server.embedded:
        server.check()
        return
    path = workspace.tracking_database
    if not path.is_file():
        raise RegistryError(f"There is no model registry at {path}: nothing was trained here yet, or it was moved.")
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=_PATIENCE)) as connection:
            connection.execute("SELECT count(*) FROM registered_models").fetchone()
    except sqlite3.Error as error:
        raise RegistryError(
            f"The model registry {path} cannot be read ({error}): restore it from a copy, or move it away and train "
            "again. Champions promoted before go on being served from their local copies."
        ) from error


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
