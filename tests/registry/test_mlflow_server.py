"""The real tracking server of `make mlflow-server`: PostgreSQL behind it, accounts before it, snapshots through it."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from recsys.errors import RegistryError
from recsys.registry.champion import champion
from recsys.registry.client import registry
from recsys.registry.promotion import promote
from recsys.registry.snapshot import load_snapshot
from recsys.registry.tracking import log_run
from recsys.workspace import Workspace

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
SECONDS = 300


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """What a client of the running server has to set."""
    postgres = shutil.which("pg_ctl") or list(Path("/usr/lib/postgresql").glob("*/bin/pg_ctl"))
    missing = [name for name in ("flask_wtf", "psycopg") if importlib.util.find_spec(name) is None]
    if not (postgres and shutil.which("redis-server")) or missing:
        pytest.skip(f"needs PostgreSQL, Redis (make services) and the extra mlflow-server ({', '.join(missing)})")
    folder, port = tmp_path_factory.mktemp("services"), _free_port()
    environment = os.environ | {
        "RECSYS_SERVICES_FOLDER": str(folder),
        "RECSYS_SERVICES_REDIS_PORT": str(_free_port()),
        "RECSYS_SERVICES_POSTGRES_PORT": str(_free_port()),
        "MLFLOW_SERVER_PORT": str(port),
        "MLFLOW_SERVER_WORKERS": "1",
        "PYTHON": sys.executable,
    }
    log = folder / "server.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [ROOT / "services" / "mlflow-server.sh"],
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    url, ends = f"http://127.0.0.1:{port}", time.monotonic() + SECONDS
    try:
        while not _answers(url):
            assert process.poll() is None, log.read_text()[-3000:]
            assert time.monotonic() < ends, log.read_text()[-3000:]
            time.sleep(1)
        written = folder / "mlflow" / "environment"
        assert stat.S_IMODE(written.stat().st_mode) == 0o600
        settings = dict(line.split("=", 1) for line in written.read_text().splitlines())
        assert settings["MLFLOW_TRACKING_PASSWORD"] not in log.read_text()
        yield settings
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(60)
        subprocess.run([ROOT / "services" / "stop.sh"], env=environment, check=False, capture_output=True)


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health", timeout=2).status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False


def test_a_model_goes_through_the_server_from_one_machine_to_another(
    server, workspace, make_snapshot, tmp_path, monkeypatch
):
    url = server["RECSYS_TRACKING_URI"]
    assert httpx.get(f"{url}/api/2.0/mlflow/registered-models/search").status_code == httpx.codes.UNAUTHORIZED
    monkeypatch.setenv("RECSYS_TRACKING_URI", url)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(RegistryError, match="no credentials are set"):
        champion(workspace)
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", server["MLFLOW_TRACKING_USERNAME"])
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "wrong")
    with pytest.raises(RegistryError, match="refuses the credentials of 'admin'"):
        champion(workspace)

    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", server["MLFLOW_TRACKING_PASSWORD"])
    report = tmp_path / "report.md"
    report.write_text("# Report\n")
    made = make_snapshot(tmp_path / "made", seed=7)
    record = log_run(
        workspace,
        snapshot=made,
        params={"seed": 7},
        metrics={"validation": {"ndcg@10": 0.3}},
        curves={"body_loss": [2.0, 1.0]},
        artifacts=[report],
    )
    promote(workspace, by="ada")
    with registry(workspace) as client:
        run = client.get_run(record.run_id)
        assert run.data.metrics["validation.ndcg_at_10"] == 0.3
        assert [entry.path for entry in client.list_artifacts(record.run_id, "training")] == ["training/report.md"]
    assert not workspace.tracking_database.exists()

    elsewhere = Workspace(workspace.name, tmp_path / "elsewhere")
    found = champion(elsewhere)
    assert (found.version, found.degraded) == (record.model_version, None)
    assert found.folder.is_relative_to(elsewhere.snapshots)
    assert load_snapshot(found.folder, snapshot_hash=made.snapshot_hash).content_hash == made.content_hash

    monkeypatch.setenv("RECSYS_TRACKING_URI", "http://127.0.0.1:1")
    assert champion(workspace).version == record.model_version
    assert "does not answer" in str(champion(workspace).degraded)
