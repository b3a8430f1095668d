"""One small workspace for all system tests: imported, trained for seconds, champion set. Tests get copies of it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from recsys.client import Client
from recsys.serving.processes.process import ServerProcess
from recsys.workspace import HOME_VARIABLE, Workspace

NAME = "small-films"
USERS, ITEMS, EVENTS_A_USER = 80, 40, 12
SETTINGS = (
    "body.width=8",
    "body.heads=1",
    "body.layers=1",
    "body.length=10",
    "body_training.epochs=1",
    "generator.epochs=2",
    "workers=1",
)


def _write_data(folder: Path) -> None:
    """Users walk through neighbouring films, with real times; every user leaves films unseen."""
    rng = np.random.default_rng(5)
    starts = rng.integers(0, ITEMS, USERS)
    steps = rng.integers(1, 3, (USERS, EVENTS_A_USER)).cumsum(1)
    films = (starts[:, None] + steps) % ITEMS
    events = pl.DataFrame(
        {
            "user_id": [f"u{user}" for user in range(USERS) for _ in range(EVENTS_A_USER)],
            "item_id": [f"f{film}" for film in films.ravel()],
            "timestamp": [1_600_000_000 + 3_600 * n for n in range(USERS * EVENTS_A_USER)],
        }
    )
    events.write_parquet(folder / "events.parquet")
    users = {"user_id": [f"u{n}" for n in range(USERS)], "age": [20.0 + n % 40 for n in range(USERS)]}
    items = {"item_id": [f"f{n}" for n in range(ITEMS)], "title": [f"Film number {n}" for n in range(ITEMS)]}
    pl.DataFrame(users).write_parquet(folder / "users.parquet")
    pl.DataFrame(items).write_parquet(folder / "items.parquet")


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """The workspace; do not write to it."""
    from recsys.jobs.ingest import ingest_folder
    from recsys.jobs.train import train
    from recsys.registry.promotion import promote
    from recsys.training.config import load_config

    data = tmp_path_factory.mktemp("data")
    _write_data(data)
    made = Workspace(name=NAME, home=tmp_path_factory.mktemp("trained"))
    before = os.environ.get(HOME_VARIABLE)
    os.environ[HOME_VARIABLE] = str(made.home)
    try:
        ingest_folder(made, data)
        train(made, load_config("default", SETTINGS))
        promote(made, by="test")
    finally:
        if before is None:
            del os.environ[HOME_VARIABLE]
        else:
            os.environ[HOME_VARIABLE] = before
    return made


@pytest.fixture(scope="module")
def service(trained: Workspace) -> Iterator[ServerProcess]:
    """A running service over the workspace of all tests of a module, which may post events for users of their own."""
    process = ServerProcess.start(trained, log=trained.home / "serve.log")
    yield process
    assert process.stop() == 0, "the service did not stop cleanly"


@pytest.fixture
def client(service: ServerProcess) -> Iterator[Client]:
    with Client(service.url) as made:
        yield made


@pytest.fixture
def workspace(trained: Workspace, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """The workspace, found by the command line as well."""
    monkeypatch.setenv(HOME_VARIABLE, str(trained.home))
    return trained
