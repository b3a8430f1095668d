"""Our side as processes: one a core and one thread each, as the actors of a batch are, each with its share of users."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable, Mapping
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from types import TracebackType
from typing import Any, Self

Line = Callable[[], int]
"""Recommends to a share of the users; says how many items it recommended."""
Build = Callable[[int, int], Mapping[str, Line]]
"""The number of a share and how many there are → what can be asked of it, by name. It has to be picklable."""


class Workers:
    """Processes that are ready for rounds.

    Args:
        build: makes a share's lines.
        count: how many processes.
    """

    def __init__(self, build: Build, count: int) -> None:
        spawn = multiprocessing.get_context("spawn")
        self._processes: list[BaseProcess] = []
        self._ends: list[Connection] = []
        for share in range(count):
            own, its = spawn.Pipe()
            process = spawn.Process(target=_serve, args=(its, build, share, count), daemon=True)
            process.start()
            its.close()
            self._processes.append(process)
            self._ends.append(own)
        self._answers()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for end in self._ends:
            end.close()
        for process in self._processes:
            process.join(timeout=10)
            process.kill()

    def round(self, name: str) -> dict[str, Any]:
        """Has every process do one line: seconds until the last is done, and items recommended."""
        started = time.perf_counter()
        for end in self._ends:
            end.send(name)
        answers = self._answers()
        return {"seconds": time.perf_counter() - started, "recommended": sum(answers)}

    def _answers(self) -> list[int]:
        answers = [end.recv() for end in self._ends]
        for answer in answers:
            if isinstance(answer, Exception):
                raise answer
        return answers


def _serve(connection: Connection, build: Build, share: int, count: int) -> None:
    import torch

    from recsys.allocator import keep_large_blocks

    torch.set_num_threads(1)
    keep_large_blocks()
    try:
        lines = build(share, count)
        connection.send(0)
        while True:
            connection.send(lines[connection.recv()]())
    except EOFError:
        return
    except Exception as error:
        connection.send(error)
        raise
