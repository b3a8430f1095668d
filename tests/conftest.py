"""What every test gets: a home of its own for workspaces, one torch thread, repeatable Hypothesis runs."""

from __future__ import annotations

import os

# Read when torch and BLAS are first loaded; the machine's cores are few and shared by Ray's workers.
os.environ["OMP_NUM_THREADS"] = "1"

import pytest
from hypothesis import settings

from recsys.cli.environment import calm_libraries
from recsys.workspace import HOME_VARIABLE

calm_libraries()
settings.register_profile("recsys", deadline=None, derandomize=True, database=None)
settings.load_profile("recsys")


@pytest.fixture(autouse=True)
def recsys_home(tmp_path, monkeypatch):
    """No test can see or touch the developer's workspaces."""
    home = tmp_path / "home"
    monkeypatch.setenv(HOME_VARIABLE, str(home))
    monkeypatch.delenv("RECSYS_WORKSPACE", raising=False)
    return home
