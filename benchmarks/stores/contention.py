"""Reads while others read and one writes, each in a process of its own, on sqlite and on Redis in turn."""

from __future__ import annotations

import multiprocessing
import time
from multiprocessing.synchronize import Barrier, Event
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.stores.reading import encoder_of
from benchmarks.stores.synthetic import user_name
from benchmarks.stores.timing import summary
from recsys.data.schema import WorkspaceSchema
from recsys.workspace import Workspace

READERS = 4
WRITER_USERS = 16
_START_SECONDS = 300.0


def measure_contention(workspace: Workspace, users: int, seconds: float) -> dict[str, Any]:
    """Four reading processes, one user a call, and one that folds and writes sixteen users a call, for a while."""
    context = multiprocessing.get_context("spawn")
    started, stop, results = context.Barrier(READERS + 2), context.Event(), context.Queue()
    places = (workspace.name, workspace.home, users)
    processes = [context.Process(target=_read, args=(*places, n, started, stop, results)) for n in range(READERS)]
    processes.append(context.Process(target=_write, args=(*places, started, stop, results)))
    for process in processes:
        process.start()
    started.wait(_START_SECONDS)
    time.sleep(seconds)
    stop.set()
    found = [results.get(timeout=60) for _ in processes]
    for process in processes:
        process.join()
    reads = [second for kind, taken in found if kind == "read" for second in taken]
    writes = [second for kind, taken in found if kind == "write" for second in taken]
    return {"reads": summary(reads), f"writes_of_{WRITER_USERS}": summary(writes), "seconds": seconds}


def _read(name: str, home: Path, users: int, number: int, started: Barrier, stop: Event, results: Any) -> None:
    from recsys.context.reader import FeastReader

    workspace = Workspace(name=name, home=home)
    schema = WorkspaceSchema.load(workspace.schema_file)
    reader, encoder = FeastReader(workspace, schema), encoder_of(schema)
    rng = np.random.default_rng(number)

    def context() -> float:
        user = user_name(int(rng.integers(0, users)))
        before = time.perf_counter()
        encoder.encode(reader.online([user]))
        return time.perf_counter() - before

    _work("read", context, started, stop, results)


def _write(name: str, home: Path, users: int, started: Barrier, stop: Event, results: Any) -> None:
    from recsys.context.reader import FeastReader

    workspace = Workspace(name=name, home=home)
    reader = FeastReader(workspace, WorkspaceSchema.load(workspace.schema_file))
    rng = np.random.default_rng(99)

    def refresh() -> float:
        named = [user_name(int(number)) for number in rng.integers(0, users, WRITER_USERS)]
        before = time.perf_counter()
        reader.refresh(named)
        return time.perf_counter() - before

    _work("write", refresh, started, stop, results)


def _work(kind: str, once: Any, started: Barrier, stop: Event, results: Any) -> None:
    for _ in range(20):
        once()
    started.wait(_START_SECONDS)
    taken = []
    while not stop.is_set():
        taken.append(once())
    results.put((kind, taken))
