"""Ray nodes on this machine, each a raylet of its own that can be killed like a machine."""

from __future__ import annotations

import os
import secrets
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from ray.util import get_node_ip_address

from benchmarks.scale.family import kill_family

_STORE_BYTES = 300_000_000
_UP_SECONDS = 60.0
_ENVIRONMENT = {
    "RAY_worker_niceness": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_TRAIN_V2_ENABLED": "1",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_health_check_period_ms": "1000",
    "RAY_health_check_failure_threshold": "5",
}


class Nodes:
    """A head and other nodes of one processor each, so that two workers need two of them.

    Ray takes in no second node on loopback: these listen on the machine's address and ask for a token. `settings` are
    the environment variables by which others join.

    Args:
        log: a folder for what they say.
        root: put first on their Python path.
    """

    def __init__(self, log: Path, root: Path) -> None:
        self._log = log
        self._port = _free_port()
        self.settings = {
            "RAY_ADDRESS": f"{get_node_ip_address()}:{self._port}",
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": secrets.token_hex(32),
        }
        self._environment = {**os.environ, **_ENVIRONMENT, **self.settings, "PYTHONPATH": str(root)}
        del self._environment["RAY_ADDRESS"]
        self._nodes: list[subprocess.Popen[bytes]] = []
        self._started = 0

    def add(self) -> None:
        """Starts another node; the first one is the head."""
        place = ["--head", f"--port={self._port}", "--include-dashboard=false"]
        which = place if not self._started else [f"--address={self.settings['RAY_ADDRESS']}"]
        command = [sys.executable, "-m", "ray.scripts.scripts", "start", *which]
        command += ["--num-cpus=1", f"--object-store-memory={_STORE_BYTES}", "--block"]
        self._started += 1
        with (self._log / f"node-{self._started}.log").open("wb") as said:
            node = subprocess.Popen(command, stdout=said, stderr=said, env=self._environment, start_new_session=True)
        self._nodes.append(node)
        self._await_processors(len(self._nodes))

    def kill_last(self) -> None:
        """Kills the newest node and everything on it at once, as a power cut would."""
        kill_family(self._nodes.pop())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for node in reversed(self._nodes):
            kill_family(node)

    def _await_processors(self, number: int) -> None:
        """Asked in another process: one that has joined a cluster stays with it."""
        code = "import ray; ray.init(log_to_driver=False); print(int(ray.cluster_resources().get('CPU', 0)))"
        deadline = time.monotonic() + _UP_SECONDS
        while time.monotonic() < deadline:
            environment = {**self._environment, **self.settings}
            asked = subprocess.run(
                [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
            )
            if asked.stdout.strip().endswith(str(number)):
                return
            time.sleep(0.5)
        raise TimeoutError(f"Ray's nodes are not up after {_UP_SECONDS:g} s; see {self._log}.")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("", 0))
        return int(probe.getsockname()[1])
