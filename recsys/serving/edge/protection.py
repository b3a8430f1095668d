"""What stands between the port and the routes: who may come in, how many at a time, what is watched of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from fastapi import FastAPI

from recsys.serving.edge.access import Access
from recsys.serving.edge.admission import MAX_IN_FLIGHT, Admission
from recsys.serving.edge.bodies import BODY_SECONDS, BodyShape
from recsys.serving.edge.draining import NOTICE_SECONDS, Draining
from recsys.serving.edge.hosts import KnownHosts
from recsys.serving.edge.key_ring import KeyRing
from recsys.serving.edge.metrics import Meters
from recsys.serving.edge.observing import Observing
from recsys.serving.edge.shares import Shares
from recsys.serving.http.middleware import BodyLimit, RequestIds

MAX_BODY_BYTES = 2 * 1024 * 1024
LARGER_BODIES = dict.fromkeys(("/v1/recommendations", "/v1/scores", "/v1/heads"), 16 * 1024 * 1024)
"""A list of candidates that is far too long is still read, so that the answer can name it."""
EVENT_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Protection:
    """How a service is protected and watched: plain values, which can be handed to another process.

    Attributes:
        keys_file: whoever asks needs one of these keys; None: everybody may.
        hosts: what it answers to beside loopback, as `own_hosts` says; None: whatever it is called.
        max_in_flight: how many requests are answered at a time; more are told to come back.
        body_seconds: how long a body may take to arrive.
        event_seconds: how long events may wait for whoever else writes the log, before they are refused.
        notice_seconds: how long it goes on answering after it was told to leave.
        access_log: whether each request is logged.
    """

    keys_file: Path | None = None
    hosts: frozenset[str] | None = None
    max_in_flight: int = MAX_IN_FLIGHT
    body_seconds: float = BODY_SECONDS
    event_seconds: float = EVENT_SECONDS
    notice_seconds: float = NOTICE_SECONDS
    access_log: bool = False


OPEN = Protection()
"""Everybody who reaches the service may do everything."""


def protect(app: FastAPI, protection: Protection, draining: Draining, meters: Meters) -> None:
    """Puts the guards around the app's routes, the innermost first."""
    app.add_middleware(BodyShape, seconds=protection.body_seconds)
    app.add_middleware(BodyLimit, max_bytes=MAX_BODY_BYTES, larger=LARGER_BODIES)
    if protection.keys_file is not None:
        app.add_middleware(Shares, most=protection.max_in_flight, refused=meters.refused)
        app.add_middleware(Access, keys=KeyRing(protection.keys_file), refused=meters.refused)
    app.add_middleware(
        Admission,
        draining=draining,
        most=protection.max_in_flight,
        refused=meters.refused,
        under_way=meters.under_way,
    )
    if protection.hosts is not None:
        app.add_middleware(KnownHosts, hosts=protection.hosts, refused=meters.refused)
    app.add_middleware(Observing, meters=meters, access_log=protection.access_log)
    app.add_middleware(RequestIds)
