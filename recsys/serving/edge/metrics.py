"""What the service counts, for Prometheus. Several processes share their counts; any of them answers for all."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Iterator
from functools import partial
from typing import get_args

from fastapi import FastAPI, Response
from fastapi.responses import PlainTextResponse
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, values
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from recsys.context.user_memory import Outcome
from recsys.errors import RecsysError
from recsys.serving.answers.answering import Answering
from recsys.serving.messages.more_examples import METRICS
from recsys.serving.ports import EventSink, ModelSource, NoChampionError, ServedFeatures

SHARED_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
"""Environment variable of prometheus_client: where the processes of one service share their counts."""

_INFO = ("model_version", "feature_service", "workspace")
_METHODS = frozenset({"GET", "POST", "PUT", "DELETE"})
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
_log = logging.getLogger(__name__)


class Meters:
    """The counters of one process."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._seconds = Histogram(
            "recsys_request_seconds",
            "Time from a request's head to the end of its reply.",
            ["route", "method", "status"],
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._degraded = Counter(
            "recsys_degraded_replies", "Replies that were less than they could be.", ["reason"], registry=self._registry
        )
        self._refused = Counter(
            "recsys_refused_requests",
            "Requests refused before any route saw them.",
            ["code"],
            registry=self._registry,
        )
        self._kept = Counter(
            "recsys_kept_heads",
            "Looks for what was generated for a user before, and what went of it.",
            ["outcome"],
            registry=self._registry,
        )
        self._kept_bytes = Gauge(
            "recsys_kept_heads_bytes",
            "Memory that it takes, about.",
            multiprocess_mode="livesum",
            registry=self._registry,
        )
        self._outcomes = {outcome: self._kept.labels(outcome) for outcome in get_args(Outcome)}
        self._in_flight = Gauge(
            "recsys_requests_in_flight",
            "Requests under way.",
            multiprocess_mode="livesum",
            registry=self._registry,
        )
        if not _are_shared():
            ProcessCollector(registry=self._registry)

    def answered(self, route: str | None, method: str, status: int, seconds: float, degraded: str | None) -> None:
        """Counts one reply.

        Args:
            route: the route's path as declared; None when no route answered.
            method: the request's.
            status: the reply's.
            seconds: how long it took.
            degraded: the reason that the reply names.
        """
        known = method if method in _METHODS else "other"
        self._seconds.labels(route or "none", known, str(status)).observe(seconds)
        if degraded is not None:
            self._degraded.labels(degraded).inc()

    def refused(self, code: str) -> None:
        """Counts one refusal, by its problem's code."""
        self._refused.labels(code).inc()

    def kept(self, outcome: Outcome, held_bytes: int) -> None:
        """Counts what became of something that may be kept."""
        self._outcomes[outcome].inc()
        self._kept_bytes.set(held_bytes)

    def under_way(self, change: int) -> None:
        self._in_flight.inc(change)

    def exposition(self, state: Collector) -> bytes:
        """Everything that was counted, and the state as of now, in Prometheus's text format."""
        now = CollectorRegistry()
        now.register(state)
        return generate_latest(self._counted()) + generate_latest(now)

    def _counted(self) -> CollectorRegistry:
        if not _are_shared():
            return self._registry
        together = CollectorRegistry()
        MultiProcessCollector(together)  # type: ignore[no-untyped-call]
        return together


class ServiceState(Collector):
    """What is looked at when somebody asks: which model answers, and how far the event log and its rows are.

    Args:
        models: which model answers.
        features: those that are read while there is no model.
        log: the event log.
    """

    def __init__(self, models: ModelSource, features: ServedFeatures, log: EventSink) -> None:
        self._models = models
        self._features = features
        self._log = log

    def collect(self) -> Iterator[GaugeMetricFamily]:
        features = self._features
        info = GaugeMetricFamily("recsys_model_info", "The model that answers, in its labels.", labels=_INFO)
        try:
            served = self._models.current()
        except NoChampionError:
            pass
        else:
            features = served.features
            info.add_metric([served.version, features.service, features.schema.name], 1)
        yield info
        yield from _gauge("recsys_event_log_position", "The event log's newest sequence number.", self._log.position)
        yield from _gauge(
            "recsys_fold_lag_events", "Places of the log that the online rows have not taken in.", features.behind
        )


def add_metrics(app: FastAPI, meters: Meters, state: ServiceState, answering: Answering) -> None:
    """Adds GET /metrics; its threads are nobody else's, so that it is answered also while everything else waits."""

    @app.get(
        "/metrics",
        response_class=PlainTextResponse,
        responses={200: {"content": {PlainTextResponse.media_type: {"example": METRICS}}}},
        summary="What the service counts, for Prometheus",
    )
    async def metrics() -> Response:
        """In Prometheus's text format. What cannot be read at the moment is left out."""
        told = await answering.run(partial(meters.exposition, state))
        return Response(told, media_type=CONTENT_TYPE_PLAIN_0_0_4)


def _are_shared() -> bool:
    """As prometheus_client decided when it was imported: Feast sets the variable later, for counts of its own."""
    return values.ValueClass is not values.MutexValue


def _gauge(name: str, says: str, look: Callable[[], int]) -> Iterator[GaugeMetricFamily]:
    """One number; left out while it cannot be read, so that the others are still told."""
    try:
        yield GaugeMetricFamily(name, says, value=look())
    except (RecsysError, OSError, sqlite3.Error) as error:
        _log.warning("%s cannot be told: %s", name, error)
