"""Leaving politely: on SIGTERM the service first says that it will go, then goes. It knows signals, not requests."""

from __future__ import annotations

import asyncio
import logging
import signal
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Self

NOTICE_SECONDS = 1.0
_Handler = Callable[[int, FrameType | None], object]
_log = logging.getLogger(__name__)


class Draining:
    """Whether the service is about to leave.

    As a context manager, inside the server's event loop, it stands before the server's own answer to SIGTERM: that one
    comes `notice_seconds` later, or at once with a second signal. Meanwhile everything is still answered, so that a
    load balancer can look away first.

    Args:
        notice_seconds: 0 to leave at once.
    """

    def __init__(self, notice_seconds: float = NOTICE_SECONDS) -> None:
        self._notice = notice_seconds
        self._server: _Handler | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self.begun = False

    def __enter__(self) -> Self:
        server = signal.getsignal(signal.SIGTERM)
        if threading.current_thread() is threading.main_thread() and callable(server):
            self._server, self._loop = server, asyncio.get_running_loop()
            signal.signal(signal.SIGTERM, self._asked_to_leave)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._server is not None:
            signal.signal(signal.SIGTERM, self._server)

    def _asked_to_leave(self, number: int, frame: FrameType | None) -> None:
        assert self._server is not None
        assert self._loop is not None
        if self.begun or not self._notice:
            self.begun = True
            self._server(number, frame)
            return
        self.begun = True
        self._loop.call_soon_threadsafe(self._loop.call_later, self._notice, self._server, number, None)
        self._loop.call_soon_threadsafe(_log.info, "asked to leave; answering for %g s more", self._notice)
