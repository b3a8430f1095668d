"""A peer as a process that answers rounds (benchmarks/peers/rounds.py); what takes it too long is not reached."""

from __future__ import annotations

import json
import os
import select
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from benchmarks.scale.family import kill_family
from recsys.errors import ConfigError, RecsysError

BUILD = Path(__file__).resolve().parents[2] / "build" / "peers"
PEERS = Path(__file__).resolve().parents[1] / "peers"


class NotReachedError(RecsysError):
    """A peer did not answer in time.

    Args:
        seconds: how long it was waited for.
    """

    def __init__(self, seconds: float) -> None:
        super().__init__(f"not reached in {seconds:g} seconds")
        self.seconds = seconds


class PeerError(RecsysError):
    """A peer ended instead of answering."""


class PeerProcess:
    """One peer, ready for rounds once `about` has answered.

    Args:
        python: of the environment it runs in.
        program: its file.
        folder: what it reads, see `benchmarks/peers/rounds.py`.
        threads: how many it may use.
        cap: seconds that an answer may take.

    Raises:
        ConfigError: there is no such environment.
    """

    def __init__(self, python: Path, program: Path, folder: Path, threads: int, cap: float) -> None:
        if not python.exists():
            raise ConfigError(f"The peers' environment is missing ({python}). Make it with: benchmarks/peers/setup.sh")
        names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "LK_NUM_BACKEND_THREADS")
        self.cap = cap
        self._said = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed when the peer is
        self._process = subprocess.Popen(
            [str(python), str(program), str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._said,
            bufsize=0,
            cwd=folder,
            env={**os.environ, **dict.fromkeys(names, str(threads)), "LK_NUM_PROCS": str(threads)},
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        self._process.communicate()
        self._said.close()

    def stop(self) -> None:
        """Ends it and the processes it started: what is over its cap must not go on beside what is measured next."""
        kill_family(self._process)

    def about(self) -> dict[str, Any]:
        """What the peer says of itself once it is fitted and has found its fastest way; the first thing to ask.

        Raises:
            NotReachedError: it is not ready in time.
            PeerError: it ended.
        """
        return self._answer()

    def round(self) -> dict[str, Any]:
        """Recommends to everybody once: seconds, users, recommended.

        Raises:
            NotReachedError: it did not get there in time.
            PeerError: it ended.
        """
        assert self._process.stdin is not None
        self._process.stdin.write(b"round\n")
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        answers = self._process.stdout
        assert answers is not None
        if not select.select([answers], [], [], self.cap)[0]:
            raise NotReachedError(self.cap)
        line = answers.readline()
        if not line:
            code = self._process.wait()
            self._said.seek(0)
            raise PeerError(f"The peer ended with code {code}: {self._said.read()[-2_000:]}")
        answer: dict[str, Any] = json.loads(line)
        return answer
