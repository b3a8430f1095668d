"""Sends requests at their times over kept connections, and counts from when each was due: nothing is omitted.

Own code, because what is well kept either waits for replies before it sends (wrk, hey, locust), which hides every
stall, or cannot send an event ahead of the request that has to show it (wrk2, oha); and because a Python client of
general use takes more time a request than the server does, on the same two cores.
"""

from __future__ import annotations

import asyncio
import gc
import time
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import numpy as np

from benchmarks.load.arrivals import Arrival

CONNECTIONS = 32
_PATIENCE = 30.0


@dataclass
class Sent:
    """What came of a run.

    Attributes:
        seconds: of each kind, from when a request was due to the end of its reply.
        failed: replies other than 2xx and broken connections, by what was wrong.
        behind: seconds from when a request was due until there was a free connection for it, the largest.
        lasted: seconds from the first request to the last reply.
    """

    seconds: dict[str, list[float]] = field(default_factory=dict)
    failed: Counter[str] = field(default_factory=Counter)
    behind: float = 0.0
    lasted: float = 0.0

    def of(self, *kinds: str) -> np.ndarray:
        """(requests,) milliseconds of these kinds."""
        return np.array([second for kind in kinds for second in self.seconds.get(kind, ())]) * 1_000


def send(url: str, arrivals: Sequence[Arrival], connections: int = CONNECTIONS) -> Sent:
    """Sends everything at its time and waits for the replies.

    Args:
        url: the service.
        arrivals: in order of their times.
        connections: that are kept open; a request that finds none free waits, and its wait counts.
    """
    gc.collect()
    gc.disable()
    try:
        return asyncio.run(_Run(url, arrivals, connections).go())
    finally:
        gc.enable()


class _Run:
    def __init__(self, url: str, arrivals: Sequence[Arrival], connections: int) -> None:
        where = urlsplit(url)
        self._host, self._port = str(where.hostname), int(where.port or 80)
        self._arrivals = arrivals
        self._connections = connections
        self._free: deque[_Connection] = deque()
        self._waiting: deque[Arrival] = deque()
        self._left = len(arrivals)
        self._sent = Sent()
        self._start = 0.0

    async def go(self) -> Sent:
        loop = asyncio.get_running_loop()
        self._done = loop.create_future()
        for _ in range(self._connections):
            _, connection = await loop.create_connection(self._connection, self._host, self._port)
            self._free.append(connection)
        self._start = time.perf_counter()
        for arrival in self._arrivals:
            early = self._start + arrival.at - time.perf_counter()
            if early > 0:
                await asyncio.sleep(early)
            self._waiting.append(arrival)
            self._assign()
        await asyncio.wait_for(self._done, _PATIENCE)
        self._sent.lasted = time.perf_counter() - self._start
        for connection in self._free:
            connection.close()
        return self._sent

    def _connection(self) -> _Connection:
        host = f"[{self._host}]" if ":" in self._host else self._host
        return _Connection(self, f"{host}:{self._port}")

    def finished(self, connection: _Connection, arrival: Arrival, wrong: str | None) -> None:
        """Told by a connection that a reply is complete."""
        took = time.perf_counter() - self._start - arrival.at
        self._sent.seconds.setdefault(arrival.kind, []).append(took)
        if wrong is not None:
            self._sent.failed[f"{arrival.kind}: {wrong}"] += 1
        self._free.append(connection)
        self._left -= 1
        self._assign()
        if not self._left and not self._done.done():
            self._done.set_result(None)

    def _assign(self) -> None:
        while self._waiting and self._free:
            arrival = self._waiting.popleft()
            waited = time.perf_counter() - self._start - arrival.at
            self._sent.behind = max(self._sent.behind, waited)
            self._free.popleft().request(arrival)


class _Connection(asyncio.Protocol):
    """One kept HTTP/1.1 connection, one request at a time. Replies have a Content-Length: there are no others."""

    def __init__(self, run: _Run, host: str) -> None:
        self._run = run
        self._host = host
        self._arrival: Arrival | None = None
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def request(self, arrival: Arrival) -> None:
        self._arrival, self._received = arrival, b""
        method = "POST" if arrival.body else "GET"
        head = f"{method} {arrival.path} HTTP/1.1\r\nhost: {self._host}\r\n"
        if arrival.body:
            head += f"content-type: application/json\r\ncontent-length: {len(arrival.body)}\r\n"
        self._transport.write(head.encode() + b"\r\n" + arrival.body)

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, separator, body = self._received.partition(b"\r\n\r\n")
        if not separator or len(body) < _length(head):
            return
        status = head[9:12].decode()
        self._finish(None if status.startswith("2") else status)

    def connection_lost(self, error: Exception | None) -> None:
        if self._arrival is not None:
            raise ConnectionError(f"the service closed a connection with a request on it: {error}")

    def close(self) -> None:
        self._transport.close()

    def _finish(self, wrong: str | None) -> None:
        arrival, self._arrival = self._arrival, None
        assert arrival is not None
        self._run.finished(self, arrival, wrong)


def _length(head: bytes) -> int:
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line.split(b":", 1)[1])
    return 0
