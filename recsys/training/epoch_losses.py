"""What worker 0 tells the driver as it goes: the loss of each epoch, in one file that is replaced whole."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from recsys.durable import replace_file

_POLL_SECONDS = 0.3


@dataclass(frozen=True, slots=True)
class EpochLosses:
    """The file.

    Attributes:
        path: where it lies.
    """

    path: Path

    def write(self, losses: Sequence[float]) -> None:
        """Replaces what was told."""
        replace_file(self.path, json.dumps(list(losses)).encode())

    def read(self) -> tuple[float, ...]:
        """Mean loss of each epoch that is done, nats."""
        return tuple(json.loads(self.path.read_bytes())) if self.path.exists() else ()


class LossWatcher:
    """Reads what worker 0 writes, while the driver waits for Ray. An epoch that is done again is told once.

    Args:
        losses: the file.
        on_epoch: told each epoch (from 1) and its loss.
    """

    def __init__(self, losses: EpochLosses, on_epoch: Callable[[int, float], None]) -> None:
        self._losses, self._on_epoch, self._told = losses, on_epoch, 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._tell()

    def _watch(self) -> None:
        while not self._stop.wait(_POLL_SECONDS):
            self._tell()

    def _tell(self) -> None:
        for epoch, loss in enumerate(self._losses.read()[self._told :], start=self._told + 1):
            self._told = epoch
            self._on_epoch(epoch, loss)
