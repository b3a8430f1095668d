"""The one door to MLflow: the workspace's own tracking database, opened quietly, its failures in our words.

Nothing here follows a URI from outside: a registry is code, so only the database at `workspace.tracking_database`
is ever opened.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from recsys.durable import TEMPORARY_PREFIX
from recsys.errors import RegistryError
from recsys.registry.locks import in_turn
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
}

_PATIENCE = 30.0
"""Seconds to wait for another process that is writing to the database."""


def tracking_uri(workspace: Workspace) -> str:
    """MLflow's address of the workspace's tracking database."""
    return f"sqlite:///{workspace.tracking_database}"


def quieten() -> None:
    """Turns MLflow's telemetry, greetings and progress bars off, unless the environment says otherwise."""
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    level = logging.getLevelName(os.environ["MLFLOW_LOGGING_LEVEL"].upper())
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(level)


@contextmanager
def registry(workspace: Workspace) -> Iterator[MlflowClient]:
    """A client of the existing tracking database; MLflow's and the database's errors come out as RegistryError.

    Raises:
        RegistryError: the database is missing, damaged, busy, or refused what was asked.
    """
    _check(workspace)
    with _client(workspace.tracking_database) as client:
        yield client


@contextmanager
def new_registry(workspace: Workspace) -> Iterator[MlflowClient]:
    """Like `registry`, and makes the database where there is none: whole or not at all, by one of several processes."""
    path = workspace.tracking_database
    with in_turn(path.with_suffix(".lock")):
        if not path.exists():
            unfinished = path.with_name(f"{TEMPORARY_PREFIX}{uuid.uuid4().hex[:12]}.db")
            try:
                with _client(unfinished) as client:
                    client.search_registered_models(max_results=1)  # makes the registry's tables as well
                unfinished.rename(path)
            finally:
                unfinished.unlink(missing_ok=True)
    with registry(workspace) as client:
        yield client


def refuse_unreadable(workspace: Workspace) -> None:
    """To be asked before work whose result the registry must take; that there is none yet is no hindrance.

    Raises:
        RegistryError: the database is damaged or not ours.
    """
    if exists(workspace):
        _check(workspace)


def exists(workspace: Workspace) -> bool:
    """Whether anything was ever tracked in this home."""
    return workspace.tracking_database.is_file()


@contextmanager
def _client(path: Path) -> Iterator[MlflowClient]:
    quieten()
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    from mlflow import MlflowClient

    uri = f"sqlite:///{path}"
    try:
        yield MlflowClient(tracking_uri=uri, registry_uri=uri)
    except (MlflowException, SQLAlchemyError, sqlite3.Error) as error:
        raise RegistryError(f"The model registry {path} failed: {_first_line(error)}") from error


def _check(workspace: Workspace) -> None:
    """Opens the database read-only first: MLflow would make a missing one anew and retry a damaged one for minutes."""
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
