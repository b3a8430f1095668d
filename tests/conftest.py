"""What every test gets: a home of its own for workspaces, one torch thread, repeatable Hypothesis runs."""

from __future__ import annotations

import os
import subprocess
import sys

# Read when torch and BLAS are first loaded; the machine's cores are few and shared by Ray's workers.
os.environ["OMP_NUM_THREADS"] = "1"

# Before Feast, which sets the variable by which prometheus_client decides, once, to count in files.
import prometheus_client  # noqa: F401
import pytest
from hypothesis import settings

from recsys.cli.environment import calm_libraries
from recsys.workspace import HOME_VARIABLE

calm_libraries()
settings.register_profile("recsys", deadline=None, derandomize=True, database=None)
settings.load_profile("recsys")


_SEARCH = """
import pathlib, sys, polars
for path in sorted(pathlib.Path(sys.argv[1]).rglob("*")):
    held = path.read_bytes() if path.is_file() else b""
    if held.startswith(b"PAR1"):
        held += polars.read_parquet(path).write_json().encode()
    if sys.argv[2].encode() in held:
        print(path.relative_to(sys.argv[1]))
"""


@pytest.fixture(scope="session")
def files_with():
    """The files below a folder that hold a text, in their bytes or compressed in parquet, by their path below it.

    Another process looks: closing a file here would drop the locks that sqlite holds on it.
    """

    def search(folder, wanted):
        command = [sys.executable, "-c", _SEARCH, str(folder), wanted]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()

    return search


@pytest.fixture(autouse=True)
def recsys_home(tmp_path, monkeypatch):
    """No test can see or touch the developer's workspaces."""
    home = tmp_path / "home"
    monkeypatch.setenv(HOME_VARIABLE, str(home))
    monkeypatch.delenv("RECSYS_WORKSPACE", raising=False)
    return home
