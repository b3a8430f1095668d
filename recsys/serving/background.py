"""Work in a thread of its own beside the requests, from when its owner is entered until it is left."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from types import TracebackType
from typing import Self


class Background(ABC):
    """As a context manager it works until it is left, once; a subclass says what the work is.

    Args:
        name: the thread's.
        patience: seconds that leaving waits for what is left to do; what is not done then is lost.
    """

    def __init__(self, name: str, patience: float = 5.0) -> None:
        self._leaving = threading.Event()
        self._patience = patience
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)

    @abstractmethod
    def _work(self) -> None:
        """Goes on until `_leaving` is set, and does what is left."""

    def _leave(self) -> None:
        """Has the work come to its end."""
        self._leaving.set()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._leave()
        self._thread.join(self._patience)
