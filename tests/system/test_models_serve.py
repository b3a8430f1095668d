"""The registered champion through MLflow's own doors answers as the service does."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import pandas as pd
import pytest

pytestmark = pytest.mark.slow

USERS, K = ["u3", "u7", "nobody-knows-me"], 6
SECONDS = 300


@pytest.fixture
def expected(client):
    """(user, rank, item, score) of the service's top K."""
    rows = []
    for user in USERS:
        reply = client.recommend(user, k=K)
        rows += [(user, place, item.item_id, item.score) for place, item in enumerate(reply.items, start=1)]
    assert len(rows) == len(USERS) * K
    return rows


@contextmanager
def scoring_server(workspace, log):
    """`mlflow models serve` of the champion on a free port of loopback."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [
        sys.executable,
        "-m",
        "mlflow",
        "models",
        "serve",
        "-m",
        f"models:/{workspace.registered_model}@champion",
    ]
    command += ["--env-manager", "local", "-h", "127.0.0.1", "-p", str(port), "-w", "1"]
    environment = os.environ | {
        "MLFLOW_TRACKING_URI": f"sqlite:///{workspace.tracking_database}",
        "RECSYS_HOME": str(workspace.home),
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",  # it looks for uvicorn there
    }
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, env=environment, cwd=log.parent, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )
    url, ends = f"http://127.0.0.1:{port}", time.monotonic() + SECONDS
    try:
        while True:
            assert process.poll() is None, log.read_text()[-3000:]
            assert time.monotonic() < ends, log.read_text()[-3000:]
            try:
                if httpx.get(f"{url}/ping", timeout=5).status_code == httpx.codes.OK:
                    break
            except httpx.HTTPError:
                time.sleep(0.5)
        yield url
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, 15)
        process.wait(30)


def assert_same(frame: pd.DataFrame, expected, version: str) -> None:
    found = list(frame[["user_id", "rank", "item_id"]].itertuples(index=False, name=None))
    assert found == [row[:3] for row in expected]
    assert frame["score"].tolist() == pytest.approx([row[3] for row in expected], abs=1e-5)
    assert set(frame["model_version"]) == {version}


def test_the_loaded_champion_ranks_as_the_service_does(workspace, expected):
    import mlflow
    from recsys.registry.client import tracking_uri

    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(tracking_uri(workspace))
    try:
        model = mlflow.pyfunc.load_model(f"models:/{workspace.registered_model}@champion")
    finally:
        mlflow.set_tracking_uri(before)
    assert_same(model.predict(pd.DataFrame({"user_id": USERS, "k": [K] * len(USERS)})), expected, "1")
    assert model.metadata.signature is not None
    assert len(model.predict(model.input_example)) > 0


def test_mlflow_models_serve_ranks_as_the_service_does(workspace, expected, tmp_path):
    asked = {"dataframe_split": {"columns": ["user_id", "k"], "data": [[user, K] for user in USERS]}}
    with scoring_server(workspace, tmp_path / "serve.log") as url:
        reply = httpx.post(f"{url}/invocations", json=asked, timeout=60)
        assert reply.status_code == httpx.codes.OK, reply.text
        assert_same(pd.DataFrame(reply.json()["predictions"]), expected, "1")
        unknown = {"dataframe_split": {"columns": ["user"], "data": [["u3"]]}}
        wrong = httpx.post(f"{url}/invocations", json=unknown, timeout=60)
    assert wrong.status_code == httpx.codes.BAD_REQUEST, wrong.text
    assert "user_id" in wrong.text
