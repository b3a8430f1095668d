"""A small workspace with everything that is awkward: ties, late events, odd column names, nulls in every column."""

from __future__ import annotations

import os

import polars as pl
import pytest

from recsys.context.engine import settings_file
from recsys.context.folding import RowFolder
from recsys.data.canonical import EVENT_SCHEMA
from recsys.data.schema import EventMeaning, WorkspaceSchema
from recsys.events.log import EventLog
from recsys.workspace import Workspace

USER_COLUMNS = {
    "Zip code": "categorical",
    "zip_code": "categorical",
    "age": "numeric",
    "likes": "list",
    "about": "text",
    "event_count": "numeric",
}
USERS = {
    "user_id": ["ann", "böb", "c c", "silent", "null"],
    "Zip code": ["1012", "", "EC1:A", "x", None],
    "zip_code": ["other", "b", None, "y", None],
    "age": [31.5, float("nan"), 2.0**53, -1.0, None],
    "likes": [["a", "ö"], [], ["x"], None, None],
    "about": ["likes 'quotes' and, commas", "", "line\nbreak", "z", None],
    "event_count": [7.0, 0.0, None, 1.0, None],
}
ITEM_COLUMNS = {"Name": "categorical", "genre": "list", "Genre": "categorical", "size": "numeric"}
ITEMS = {
    "item_id": ["a", "b", "ü", "d'e", "unsold"],
    "Name": ["Alien", "Brazil", None, "D", "U"],
    "genre": [["x", "y"], ["x", "x", "", None], [], None, ["z"]],
    "Genre": ["p", "", None, "q", "q"],
    "size": [1.0, float("nan"), None, -2.0, 0.0],
}


class World:
    """One workspace and what may be done to it."""

    def __init__(self, home, *, repeats: bool = False) -> None:
        self.workspace = Workspace(name="small-world", home=home)
        events = EventMeaning(negative=("dislike",), weights={"buy": 0.1})
        self.schema = WorkspaceSchema(
            name="small-world",
            repeats=repeats,
            events=events,
            user_columns=USER_COLUMNS,
            item_columns=ITEM_COLUMNS,
            title="Name",
        )
        self.schema.save(self.workspace.schema_file)
        self.save_users(pl.DataFrame(USERS, schema=self.schema.users_frame_schema()))
        self.log = EventLog(self.workspace.event_log)
        self.folder = RowFolder.of(self.workspace, self.schema)
        self._events = 0

    def use_engine(self, engine: str) -> None:
        """ "scale": Redis and PostgreSQL as the environment names them, joins in shards."""
        if engine == "scale":
            settings_file(self.workspace).write_text(
                'registry = "${RECSYS_TEST_REGISTRY}"\nonline_store = "${RECSYS_TEST_ONLINE_STORE}"\njoin_shards = 3\n'
            )

    def save_users(self, users: pl.DataFrame) -> None:
        self.workspace.users_file.parent.mkdir(parents=True, exist_ok=True)
        users.write_parquet(self.workspace.users_file)
        items = pl.DataFrame(ITEMS, schema=self.schema.items_frame_schema())
        items.write_parquet(self.workspace.items_file)

    def append(self, *events: tuple[str, str, int] | tuple[str, str, int, str]) -> None:
        """(user, item, occurred_at[, kind]) each."""
        rows = []
        for event in events:
            self._events += 1
            user, item, at, *kind = event
            rows.append((f"e{self._events}", user, item, at, kind[0] if kind else None, 1.0))
        self.log.append(pl.DataFrame(rows, schema=EVENT_SCHEMA, orient="row"))

    def moments(self, *pairs: tuple[str, int]) -> pl.DataFrame:
        return pl.DataFrame(list(pairs), schema={"user_id": pl.String, "effective_at": pl.Int64}, orient="row")


def running_services() -> dict[str, str]:
    """The URLs of Redis and PostgreSQL; skips where none run, unless they were promised."""
    found = {name: os.environ.get(name, "") for name in ("RECSYS_TEST_ONLINE_STORE", "RECSYS_TEST_REGISTRY")}
    if all(found.values()):
        return found
    if os.environ.get("RECSYS_TEST_SERVICES") == "required":
        pytest.fail(f"{' and '.join(found)} are not set")
    pytest.skip("needs Redis and PostgreSQL: make test-services")


@pytest.fixture(scope="module")
def services() -> dict[str, str]:
    return running_services()


@pytest.fixture(scope="module", params=["embedded", "scale"])
def engine(request) -> str:
    """On which engines a module's tests run; the scale engine where its services are."""
    if request.param == "scale":
        running_services()
    return request.param


@pytest.fixture
def world(tmp_path) -> World:
    return World(tmp_path)


@pytest.fixture(scope="session")
def world_class() -> type[World]:
    return World
