"""A service over small, known parts: a ranker with fixed scores, contexts that read a list of events."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import polars as pl
import pytest
from fastapi import FastAPI

from recsys.context.batch import FeatureRow
from recsys.data.schema import WorkspaceSchema
from recsys.events.log import EventLog
from recsys.serving.api import create_app
from recsys.serving.ports import NoChampionError, ServedFeatures, ServedModel

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    warnings.simplefilter("ignore", UserWarning)  # starlette would rather have httpx2
    from fastapi.testclient import TestClient

NOW = 1_800_000_000_000_000
TITLES = {"a": "Alien", "b": "Brazil", "c": "Casablanca", "d": "Dune", "e": "Eraserhead", "f": "Fargo"}
SCHEMA = WorkspaceSchema(
    name="films", user_columns={"age": "numeric", "job": "categorical", "likes": "list"}, title=None
)


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
    ) -> list[Ranked]:
        self.rows.extend(rows)
        hide = not self.repeats if exclude_seen is None else exclude_seen
        return [self._ranked(row, k, set(exclude_items) | (set(row.seen_items) if hide else set())) for row in rows]

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
            titles={item: title for item, title in TITLES.items() if item != "f"},
            metrics={"validation": {"ndcg@10": 0.25}},
            lineage={"log_position": 12},
        )
    )
    app = create_app(
        models=models,
        features=features,
        log=log,
        live=live,
        clock=lambda: NOW,
    )
    return Service(log, contexts, live, models, ranker, app)


@pytest.fixture
def http(service: Service) -> Iterator[TestClient]:
    with TestClient(service.app, raise_server_exceptions=False) as client:
        yield client
