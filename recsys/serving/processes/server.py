"""Runs an application on a port: binds first, says one line when it is ready, drains on SIGTERM.

It knows addresses and signals, not what the application does.
"""

from __future__ import annotations

import errno
import signal
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from types import FrameType
from typing import Any

import uvicorn
from fastapi import FastAPI

from recsys.errors import ConfigError
from recsys.serving.edge.access import is_loopback
from recsys.serving.http.logs import write_json_lines
from recsys.serving.processes.connections import BoundedConnection
from recsys.serving.processes.workers import run_workers

DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 8000
_DRAIN_SECONDS = 20
_IDLE_SECONDS = 30
_NEARBY = {"0.0.0.0": "127.0.0.1", "::": "::1"}


@dataclass(frozen=True, slots=True)
class Listening:
    """Where the service answers.

    Attributes:
        url: as the operator gave the address.
        docs: its documentation, for a browser.
        nearby: its address from this machine, also where it listens on every one.
    """

    url: str
    docs: str
    nearby: str


def run(
    build: Callable[[], FastAPI],
    *,
    host: str = DEFAULT_HOST,
    port: int = DEFAULT_PORT,
    allow_remote: bool = False,
    workers: int = 1,
    on_ready: Callable[[Listening], None],
) -> None:
    """Serves until SIGTERM or Ctrl-C; requests under way are finished.

    Args:
        build: makes the application; called once the port is ours, so that a taken port is known at once.
        host: address to listen on; one that other machines reach must be allowed.
        port: 0 for any free one.
        allow_remote: the application asks its callers who they are, or everybody may do everything.
        workers: how many processes answer; with more than one, `build` must be picklable.
        on_ready: called when requests are answered.

    Raises:
        ConfigError: the port is taken, the address is not ours, or it is not loopback and that was not allowed.
        ServiceError: a worker could not start.
    """
    if not allow_remote and not is_loopback(host):
        raise ConfigError(
            f"{host} can be reached from other machines and the service asks nobody who they are. Serve on "
            f"{DEFAULT_HOST}, let it ask for API keys, or say that you want this: --without-auth"
        )
    with _bound(host, port) as listener:
        where = _listening(host, listener)
        write_json_lines()
        if workers > 1:
            run_workers(build, listener, _configured, workers, lambda: on_ready(where))
            return
        signal.signal(signal.SIGTERM, _leave)
        server = _AnnouncingServer(_configured(build()), lambda: on_ready(where))
        with suppress(KeyboardInterrupt):  # Ctrl-C is how it is stopped by hand; it has drained by then
            server.run(sockets=[listener])


def reserved(host: str, port: int) -> tuple[Listening, int]:
    """Where another server is going to listen, and its port: any free one for 0, as long as nobody else takes it.

    Raises:
        ConfigError: the port is taken, or the address is not ours.
    """
    with _bound(host, port) as listener:
        return _listening(host, listener), int(listener.getsockname()[1])


def _configured(app: Callable[..., Any], **options: Any) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=BoundedConnection,
        ws="none",
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_keep_alive=_IDLE_SECONDS,
        timeout_graceful_shutdown=_DRAIN_SECONDS,
        lifespan="on",
        **options,
    )


class _AnnouncingServer(uvicorn.Server):
    """uvicorn's server, which also tells when it answers."""

    def __init__(self, config: uvicorn.Config, on_ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_ready = on_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._on_ready()


def _bound(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
    except (OSError, OverflowError) as error:
        listener.close()
        raise _refused(host, port, error) from error
    return listener


def _refused(host: str, port: int, error: OSError | OverflowError) -> ConfigError:
    if isinstance(error, OverflowError):
        return ConfigError(f"{port} is no port: use 1 to 65535, or 0 for any free one.")
    if error.errno == errno.EADDRINUSE:
        return ConfigError(
            f"Port {port} on {host} is taken, perhaps by another `recsys serve`. Stop that one, or take another port: "
            f"--port {port + 1 if port < 65535 else 0} (0 takes any free one)."
        )
    if error.errno == errno.EACCES:
        return ConfigError(f"Port {port} may not be used by this account. Take one above 1023: --port {DEFAULT_PORT}")
    return ConfigError(f"Cannot listen on {host}, port {port}: {error.strerror or error}. Try --host {DEFAULT_HOST}.")


def _listening(host: str, listener: socket.socket) -> Listening:
    port = listener.getsockname()[1]
    url = _url(host, port)
    return Listening(url=url, docs=f"{url}/docs", nearby=_url(_NEARBY.get(host, host), port))


def _url(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _leave(number: int, frame: FrameType | None) -> None:
    """SIGTERM outside uvicorn's own handling: while loading, and again once it has drained."""
    raise SystemExit(0)
