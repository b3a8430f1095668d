"""Starts `recsys serve` as a process of its own, waits until it answers, and stops it. For flows and system tests."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import orjson

from recsys.errors import ServiceError
from recsys.serving.edge.metrics import SHARED_FOLDER
from recsys.serving.processes.server import DEFAULT_HOST
from recsys.workspace import HOME_VARIABLE, Workspace

START_SECONDS = 90.0
STOP_SECONDS = 30.0
_POLL_SECONDS = 0.1
_TAIL = 2_000
_PROGRAM = "from recsys.cli import main; main()"


class ServerProcess:
    """One running service.

    Attributes:
        url: where it answers.
        log: the file that holds what it said.
    """

    def __init__(self, process: subprocess.Popen[bytes], log: Path, url: str) -> None:
        self._process = process
        self.log = log
        self.url = url

    @classmethod
    def start(
        cls,
        workspace: Workspace,
        *options: str,
        port: int = 0,
        log: Path,
        timeout: float = START_SECONDS,
    ) -> ServerProcess:
        """Starts the service and returns once it is ready to answer.

        Args:
            workspace: what to serve; its home is passed on.
            options: more of the command's own, for example "--split", "0.1".
            port: 0 for any free one.
            log: file for its stdout and stderr.
            timeout: seconds until it must be ready.

        Raises:
            ServiceError: it ended, or was not ready in time; the message has the end of its log.
        """
        log.parent.mkdir(parents=True, exist_ok=True)
        arguments = ["serve", "--workspace", workspace.name, "--host", DEFAULT_HOST, "--port", str(port), "--json"]
        arguments += options
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-c", _PROGRAM, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=_environment(workspace),
            )
        started = cls(process, log, "")
        try:
            started._await(time.monotonic() + timeout)
        except BaseException:
            started.stop()
            raise
        return started

    @property
    def process_id(self) -> int:
        return self._process.pid

    def stop(self, timeout: float = STOP_SECONDS) -> int:
        """Asks it to drain and waits; one that does not end in time is killed.

        Returns:
            Its exit code: 0 after a clean stop.
        """
        if self._process.poll() is None:
            self._process.terminate()
        try:
            return self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()

    def _await(self, deadline: float) -> None:
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                raise ServiceError(f"The service ended with code {self._process.returncode}: {self._said()}")
            self.url = self.url or self._announced()
            if self.url and self._is_ready():
                return
            time.sleep(_POLL_SECONDS)
        raise ServiceError(f"The service was not ready in time: {self._said()}")

    def _announced(self) -> str:
        """The address in the JSON line that it prints when it listens."""
        for line in self.log.read_bytes().splitlines():
            if line.startswith(b'{"url"'):
                return str(orjson.loads(line)["url"])
        return ""

    def _is_ready(self) -> bool:
        try:
            return httpx.get(f"{self.url}/readyz", timeout=2.0, trust_env=False).is_success
        except httpx.HTTPError:
            return False

    def _said(self) -> str:
        return self.log.read_text(errors="replace")[-_TAIL:].strip() or "it said nothing"


@contextmanager
def served(workspace: Workspace, *, port: int = 0, timeout: float = START_SECONDS) -> Iterator[ServerProcess]:
    """A running service for the length of a block.

    Raises:
        ServiceError: it could not be started.
    """
    with tempfile.TemporaryDirectory(prefix="recsys-serve-") as folder:
        process = ServerProcess.start(workspace, port=port, log=Path(folder) / "serve.log", timeout=timeout)
        try:
            yield process
        finally:
            process.stop()


def _environment(workspace: Workspace) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if name != SHARED_FOLDER}  # Feast sets it on import
    return {**inherited, HOME_VARIABLE: str(workspace.home)}
