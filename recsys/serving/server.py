"""Runs an application on a port: binds first, says one line when it is ready, drains on SIGTERM.

It knows addresses and signals, not what the application does.
"""

from __future__ import annotations

import errno
import ipaddress
import signal
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from types import FrameType

import uvicorn
from fastapi import FastAPI

from recsys.errors import ConfigError

DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 8000
_DRAIN_SECONDS = 20


@dataclass(frozen=True, slots=True)
class Listening:
    """Where the service answers."""

    url: str
    docs: str


def run(
    build: Callable[[], FastAPI],
    *,
    host: str = DEFAULT_HOST,
    port: int = DEFAULT_PORT,
    allow_remote: bool = False,
    on_ready: Callable[[Listening], None],
) -> None:
    """Serves until SIGTERM or Ctrl-C; requests under way are finished.

    Args:
        build: makes the application; called once the port is ours, so that a taken port is known at once.
        host: address to listen on; the service has no keys yet, so another one than loopback must be allowed.
        port: 0 for any free one.
        allow_remote: the caller knows that everybody who reaches the address may read and write.
        on_ready: called when requests are answered.

    Raises:
        ConfigError: the port is taken, the address is not ours, or it is not loopback and that was not allowed.
    """
    if not allow_remote and not is_loopback(host):
        raise ConfigError(
            f"{host} can be reached from other machines and the service asks nobody who they are. Serve on "
            f"{DEFAULT_HOST} behind a proxy that does, or say that you want this: --allow-remote"
        )
    with _bound(host, port) as listener:
        signal.signal(signal.SIGTERM, _leave)
        app = build()
        config = uvicorn.Config(
            app,
            log_level="warning",
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=_DRAIN_SECONDS,
            lifespan="on",
        )
        server = _AnnouncingServer(config, lambda: on_ready(_listening(host, listener)))
        with suppress(KeyboardInterrupt):  # Ctrl-C is how it is stopped by hand; it has drained by then
            server.run(sockets=[listener])


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach that address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


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
    shown = f"[{host}]" if ":" in host else host
    url = f"http://{shown}:{listener.getsockname()[1]}"
    return Listening(url=url, docs=f"{url}/docs")


def _leave(number: int, frame: FrameType | None) -> None:
    """SIGTERM outside uvicorn's own handling: while loading, and again once it has drained."""
    raise SystemExit(0)
