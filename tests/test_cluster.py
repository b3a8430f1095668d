"""Without an address a cluster of our own is started, whatever else runs on the machine."""

import os
import tempfile
from pathlib import Path

import pytest

from recsys.cluster import ray_cluster


@pytest.fixture
def ray_folder(monkeypatch):
    """Ray's folder for this test, with a short name: it holds sockets."""
    with tempfile.TemporaryDirectory(prefix="r", dir="/tmp") as folder:
        monkeypatch.setenv("RAY_TMPDIR", folder)
        monkeypatch.delenv("RAY_ADDRESS", raising=False)
        place = Path(folder) / "ray"
        place.mkdir()
        yield place


@pytest.mark.slow
def test_a_cluster_that_somebody_started_here_is_not_joined(ray_folder):
    import ray

    (ray_folder / "ray_current_cluster").write_text("127.0.0.1:1")
    with ray_cluster():
        assert not ray.get_runtime_context().gcs_address.endswith(":1")


@pytest.mark.slow
def test_a_cluster_of_our_own_asks_for_a_token_that_lies_in_no_file(ray_folder, monkeypatch, tmp_path):
    import ray

    monkeypatch.setenv("HOME", str(tmp_path))
    with ray_cluster():
        token = os.environ["RAY_AUTH_TOKEN"]
        given = ray.get(ray.remote(lambda: (os.environ["RAY_AUTH_MODE"], os.environ["RAY_AUTH_TOKEN"])).remote())
    assert given == ("token", token)
    assert list(tmp_path.iterdir()) == []
