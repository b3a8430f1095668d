"""A service over small, known parts: a ranker with fixed scores, contexts that read a list of events."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from fastapi import FastAPI

from recsys.context.batch import FeatureRow
from recsys.data.catalogue import Catalogue
from recsys.data.schema import WorkspaceSchema
from recsys.events.log import EventLog
from recsys.events.removals import Removals
from recsys.ranking.recommender import Recommender
from recsys.serving.api import create_app
from recsys.serving.folder.item_changes import ItemChanges
from recsys.serving.folder.items import Described, Items
from recsys.serving.folder.live_items import LiveItems
from recsys.serving.ports import NoChampionError, ServedFeatures, ServedModel
from recsys.workspace import Workspace

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    warnings.simplefilter("ignore", UserWarning)  # starlette would rather have httpx2
    from fastapi.testclient import TestClient

from tests.serving.modelled import CATALOGUE, small_recommender
from tests.serving.modelled import SCHEMA as MODELLED

NOW = 1_800_000_000_000_000
TITLES = {"a": "Alien", "b": "Brazil", "c": "Casablanca", "d": "Dune", "e": "Eraserhead", "f": "Fargo"}
SCHEMA = WorkspaceSchema(
    name="films", user_columns={"age": "numeric", "job": "categorical", "likes": "list"}, title=None
)
ITEM_SCHEMA = WorkspaceSchema(name="films", item_columns={"title": "text"}, title="title")
TITLED = pl.DataFrame({"item_id": list("abcde"), "title": [TITLES[item] for item in "abcde"]})


@dataclass
class FixedItems:
    items: Items

    def current(self) -> Items:
        return self.items

    def at_hand(self) -> Items:
        return self.items


@dataclass(frozen=True)
class Ranked:
    item_ids: tuple[str, ...]
    scores: tuple[float, ...]


class NeighbourRanker:
    """Scores an item by its place in the alphabet, plus ten when the letter before it is in the history."""

    def __init__(self, items: Sequence[str] = tuple(TITLES), *, repeats: bool = False) -> None:
        self.items = tuple(items)
        self.repeats = repeats
        self.rows: list[FeatureRow] = []

    def recommend(
        self,
        rows: Sequence[FeatureRow],
        k: int = 10,
        *,
        exclude_seen: bool | None = None,
        exclude_items: Sequence[str] = (),
        include_only: Sequence[str] | None = None,
        allowed: np.ndarray | None = None,
        diversity: float = 0.0,
    ) -> list[Ranked]:
        self.rows.extend(rows)
        hide = not self.repeats if exclude_seen is None else exclude_seen
        hidden = set(exclude_items) | (set() if include_only is None else {*self.items} - {*include_only})
        if allowed is not None:
            hidden |= {item for item, may in zip(self.items, allowed, strict=True) if not may}
        return [self._ranked(row, k, hidden | (set(row.seen_items) if hide else set())) for row in rows]

    def flags(self, item_ids: Sequence[str]) -> np.ndarray:
        return np.array([item in set(item_ids) for item in self.items])

    def _ranked(self, row: FeatureRow, k: int, hidden: set[str]) -> Ranked:
        scores = {
            item: -float(n) + (10.0 if n and self.items[n - 1] in row.history_items else 0.0)
            for n, item in enumerate(self.items)
            if item not in hidden
        }
        best = sorted(scores, key=lambda item: -scores[item])[:k]
        return Ranked(tuple(best), tuple(scores[item] for item in best))


class LogContexts:
    """Contexts straight from a real event log: every acknowledged event shows at once."""

    def __init__(self, log: EventLog) -> None:
        self.log = log
        self.broken = False

    def online(self, user_ids: Sequence[str]) -> list[FeatureRow]:
        if self.broken:
            raise OSError("disk on fire")
        return [self._row(user, self.log.read(user_ids=[user])) for user in user_ids]

    def _row(self, user: str, events: pl.DataFrame) -> FeatureRow:
        if events.is_empty():
            return FeatureRow(user_id=user, degraded="unknown_user")
        items, times = tuple(events["item_id"]), tuple(events["occurred_at"])
        return FeatureRow(
            user_id=user,
            history_items=items,
            history_times=times,
            history_values=(1.0,) * len(items),
            seen_items=items,
            seen_counts=(1,) * len(items),
            seen_last=times,
            event_count=len(items),
            first_event_at=times[0],
            last_event_at=times[-1],
            log_sequence=int(events["log_sequence"][-1]),
            present=True,
        )


@dataclass
class FixedModel:
    model: ServedModel | None

    def current(self) -> ServedModel:
        if self.model is None:
            raise NoChampionError("Workspace films has no champion yet. Make one with: recsys train -w films")
        return self.model


@dataclass
class NotedRefreshes:
    users: list[str] = field(default_factory=list)
    broken: bool = False

    def refresh(self, user_ids: Sequence[str]) -> None:
        if self.broken:
            raise RuntimeError("the online store is gone")
        self.users.extend(user_ids)


@dataclass
class Service:
    """The parts of one service, for tests to look at and to break."""

    log: EventLog
    contexts: LogContexts
    live: NotedRefreshes
    models: FixedModel
    ranker: NeighbourRanker
    app: FastAPI


@pytest.fixture
def service(tmp_path) -> Service:
    log = EventLog(tmp_path / "log.sqlite")
    contexts, live, ranker = LogContexts(log), NotedRefreshes(), NeighbourRanker()
    features = ServedFeatures(contexts, SCHEMA, "context_12345678")
    models = FixedModel(
        ServedModel(
            ranker=ranker,
            version="7",
            content_hash="c0ffee",
            vocabulary=frozenset(ranker.items),
            features=features,
            metrics={"validation": {"ndcg@10": 0.25}},
            lineage={"log_position": 12},
        )
    )
    app = create_app(
        models=models,
        features=features,
        log=log,
        live=live,
        items=FixedItems(Items(Described(TITLED, ITEM_SCHEMA))),
        item_writer=ItemChanges(Workspace("films", tmp_path)),
        delete_users=Deleting(log),
        clock=lambda: NOW,
    )
    return Service(log, contexts, live, models, ranker, app)


@pytest.fixture
def http(service: Service) -> Iterator[TestClient]:
    with TestClient(service.app, raise_server_exceptions=False) as client:
        yield client


def films_in(home: Path) -> Workspace:
    """A workspace with a catalogue and an event log, for what is written into it."""
    workspace = Workspace("films", home)
    Catalogue(pl.DataFrame(schema=MODELLED.users_frame_schema()), CATALOGUE.sort("item_id"), MODELLED).save(workspace)
    MODELLED.save(workspace.schema_file)
    return workspace


@pytest.fixture
def films(tmp_path) -> Workspace:
    return films_in(tmp_path)


@dataclass(frozen=True)
class Gone:
    events: int
    position: int


@dataclass
class Deleting:
    """Deletes from a real log, or fails as told."""

    log: EventLog
    trouble: Exception | None = None

    def __call__(self, user_ids: Sequence[str]) -> Gone:
        if self.trouble is not None:
            raise self.trouble
        return Gone(Removals(self.log.path).remove_users(user_ids), self.log.position())


@dataclass
class Modelled:
    """A service over a real small model, and what it is made of."""

    http: TestClient
    recommender: Recommender
    models: FixedModel
    items: LiveItems
    deleting: Deleting
    log: EventLog

    def post(self, path: str, **body: object) -> dict[str, Any]:
        reply = self.http.post(path, json=body)
        assert reply.status_code == 200, reply.text
        answer: dict[str, Any] = reply.json()
        return answer


def over_a_model(films: Workspace, kind: str = "lowrank", *, discovery: bool = False) -> Modelled:
    """A service over a real small model and a workspace's real log and catalogue.

    Args:
        films: the workspace.
        kind: of the model's head.
        discovery: as `small_recommender` takes it.
    """
    recommender = small_recommender(kind, discovery=discovery)
    log = EventLog(films.event_log)
    features = ServedFeatures(LogContexts(log), recommender.schema, "context_12345678")
    model = ServedModel(recommender, "7", "c0ffee", frozenset(recommender.vocabulary), features)
    items, deleting = LiveItems(films), Deleting(log)
    models = FixedModel(model)
    app = create_app(
        models=models,
        features=features,
        log=log,
        live=NotedRefreshes(),
        items=items,
        item_writer=ItemChanges(films),
        delete_users=deleting,
        clock=lambda: NOW,
    )
    return Modelled(TestClient(app, raise_server_exceptions=False), recommender, models, items, deleting, log)


@pytest.fixture
def modelled(films) -> Callable[..., Modelled]:
    """Makes services over a real small model, of a kind of head; see `over_a_model`."""
    return partial(over_a_model, films)
