"""The scripts that start Redis and PostgreSQL for a checkout: on loopback, behind new passwords, repeatable."""

import os
import shutil
import socket
import stat
import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

SCRIPTS = Path(__file__).resolve().parent.parent / "services"
TOOLS = (
    "bash",
    "basename",
    "chown",
    "cksum",
    "cut",
    "dirname",
    "id",
    "ls",
    "mkdir",
    "rm",
    "sed",
    "sort",
    "stat",
    "tail",
)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def is_open(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


class Services:
    """The scripts with a folder and ports of their own."""

    def __init__(self, folder: Path) -> None:
        self.redis, self.postgres = free_port(), free_port()
        self.environment = folder / "environment"
        self._variables = {
            "RECSYS_SERVICES_FOLDER": str(folder),
            "RECSYS_SERVICES_REDIS_PORT": str(self.redis),
            "RECSYS_SERVICES_POSTGRES_PORT": str(self.postgres),
        }

    def elsewhere(self) -> str:
        """PostgreSQL's folder when root runs it and its user may not enter pytest's."""
        script = f"source {SCRIPTS}/settings.sh; echo $postgres"
        environment = {**os.environ, **self._variables}
        return subprocess.run(
            ["bash", "-c", script], env=environment, capture_output=True, text=True, check=True
        ).stdout.strip()

    def run(self, script: str, **variables: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, **self._variables, **variables}
        command = [shutil.which("bash"), str(SCRIPTS / script)]
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture
def services(tmp_path_factory):
    running = Services(tmp_path_factory.mktemp("services"))
    yield running
    running.run("stop.sh")
    shutil.rmtree(running.elsewhere(), ignore_errors=True)


@pytest.fixture
def installed():
    postgres = shutil.which("pg_ctl") or list(Path("/usr/lib/postgresql").glob("*/bin/pg_ctl"))
    if not (shutil.which("redis-server") and postgres):
        pytest.skip("needs Redis and PostgreSQL: make services")


def test_services_listen_on_loopback_behind_new_passwords_and_stop(installed, services):
    started = services.run("start.sh")
    assert started.returncode == 0, started.stdout + started.stderr
    assert stat.S_IMODE(services.environment.stat().st_mode) == 0o600
    urls = services.environment.read_text()
    assert f"@127.0.0.1:{services.redis}/0" in urls
    assert f"@127.0.0.1:{services.postgres}/recsys" in urls
    password = urls.split("redis://:")[1].split("@")[0]
    assert password not in started.stdout + started.stderr

    with socket.create_connection(("127.0.0.1", services.redis)) as anybody:
        anybody.sendall(b"PING\r\n")
        assert anybody.recv(64).startswith(b"-NOAUTH")

    again = services.run("start.sh")
    assert "already" in again.stdout
    assert services.environment.read_text() == urls

    assert services.run("stop.sh").returncode == 0
    assert not services.environment.exists()
    assert (is_open(services.redis), is_open(services.postgres)) == (False, False)
    assert services.run("stop.sh").returncode == 0

    assert services.run("start.sh").returncode == 0
    assert password not in services.environment.read_text()


def test_a_port_that_is_taken_is_told_and_nothing_is_left_running(installed, services):
    with socket.create_server(("127.0.0.1", services.postgres)):
        failed = services.run("start.sh")
    assert failed.returncode == 1
    assert f"port {services.postgres} is taken" in failed.stderr
    assert "RECSYS_SERVICES_POSTGRES_PORT=PORT" in failed.stderr
    assert not is_open(services.redis)


def test_without_root_a_missing_server_ends_in_the_command_that_installs_it(services, tmp_path):
    for tool in TOOLS:
        (tmp_path / tool).symlink_to(shutil.which(tool))
    for name, script in (("id", "echo 1000"), ("apt-get", "exit 1")):
        (tmp_path / name).unlink(missing_ok=True)
        (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / name).chmod(0o755)
    failed = services.run("start.sh", PATH=str(tmp_path))
    assert failed.returncode == 1
    assert "redis-server" in failed.stderr
    assert "only root may install them. Run: sudo apt-get install -y redis-server" in failed.stderr
