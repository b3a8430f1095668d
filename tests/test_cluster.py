"""Without an address a cluster of our own is started, whatever else runs on the machine."""

import json
import os
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path

import pytest

from recsys.cluster import ray_cluster

GUARDED = textwrap.dedent(
    """
    import json
    import os
    from recsys.cluster import ray_cluster

    with ray_cluster():
        import ray
        told = ray.get(ray.remote(lambda: (os.environ["RAY_AUTH_MODE"], os.environ["RAY_AUTH_TOKEN"])).remote())
        print(json.dumps([os.environ["RAY_AUTH_TOKEN"], *told]))
    """
)


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
def test_a_cluster_of_our_own_asks_for_a_random_token_that_lies_in_no_file(ray_folder, tmp_path):
    """In a process of its own, which has not read a token yet."""
    unset = ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH", "RAY_AUTH_MODE")
    given = {name: value for name, value in os.environ.items() if name not in unset} | {"HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", GUARDED], env=given, capture_output=True, text=True, check=True)
    own, mode, told = json.loads(done.stdout.splitlines()[-1])
    assert (mode, told) == ("token", own)
    assert len(own) == 64
    assert not (tmp_path / ".ray").exists()
