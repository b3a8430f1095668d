"""Several processes that share one port, under uvicorn's supervisor: a worker that dies is replaced.

One of them folds the event log, as with several services of one workspace; the others stand by.
"""

from __future__ import annotations

import logging
import os
import socket
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import uvicorn
from fastapi import FastAPI
from prometheus_client.multiprocess import mark_process_dead
from uvicorn.config import STARTUP_FAILURE
from uvicorn.supervisors import Multiprocess

from recsys.errors import RecsysError, ServiceError
from recsys.serving.edge.metrics import SHARED_FOLDER
from recsys.serving.http.logs import write_json_lines

HEALTH_SECONDS = 20
"""How long a worker may be too busy to say that it lives (loading a model keeps it busy) before it is replaced."""
_log = logging.getLogger(__name__)


def run_workers(
    build: Callable[[], FastAPI],
    listener: socket.socket,
    configured: Callable[..., uvicorn.Config],
    number: int,
    on_ready: Callable[[], None],
) -> None:
    """Serves with several processes until SIGTERM or Ctrl-C; each of them drains.

    Args:
        build: makes the application, in each worker; must be picklable.
        listener: the bound socket that they share.
        configured: makes uvicorn's configuration of an application.
        number: how many processes.
        on_ready: called once, when the first of them answers.

    Raises:
        ServiceError: a worker could not start; its log lines say why.
    """
    with _shared_counts():
        config = configured(
            partial(_in_worker, build), factory=True, workers=number, timeout_worker_healthcheck=HEALTH_SECONDS
        )
        supervisor = _Workers(config, listener, on_ready)
        supervisor.run()
        if any(worker.exitcode == STARTUP_FAILURE for worker in supervisor.processes):
            raise ServiceError("A worker could not start; the lines above say why.")


class _Workers(Multiprocess):
    """uvicorn's supervisor, which also tells when the first worker answers and which one was replaced."""

    def __init__(self, config: uvicorn.Config, listener: socket.socket, on_ready: Callable[[], None]) -> None:
        super().__init__(config, [listener])
        self._on_ready: Callable[[], None] | None = on_ready

    def keep_subprocess_alive(self) -> None:
        before = [worker.pid for worker in self.processes]
        super().keep_subprocess_alive()
        for old, worker in zip(before, self.processes, strict=True):
            if old is not None and old != worker.pid:
                mark_process_dead(old)  # type: ignore[no-untyped-call]
                _log.warning("worker process %s ended; process %s takes its place", old, worker.pid)
        if self._on_ready is not None and any(worker.is_ready() for worker in self.processes):
            self._on_ready()
            self._on_ready = None


def _in_worker(build: Callable[[], FastAPI]) -> FastAPI:
    write_json_lines()
    try:
        return build()
    except RecsysError as error:
        _log.error("%s", error)
        raise SystemExit(STARTUP_FAILURE) from error
    except Exception as error:
        _log.exception("the worker could not start")
        raise SystemExit(STARTUP_FAILURE) from error


@contextmanager
def _shared_counts() -> Iterator[None]:
    """A folder where the workers count together, for as long as they run; the operator's own one is left alone."""
    if SHARED_FOLDER in os.environ:
        yield
        return
    with tempfile.TemporaryDirectory(prefix="recsys-metrics-") as folder:
        os.environ[SHARED_FOLDER] = folder
        try:
            yield
        finally:
            del os.environ[SHARED_FOLDER]
