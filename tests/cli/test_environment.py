"""The libraries underneath are calmed, and what the user set stays."""

from __future__ import annotations

import os

from recsys.cli.environment import QUIET, calm_libraries


def test_unset_variables_are_set(monkeypatch):
    for name in QUIET:
        monkeypatch.delenv(name, raising=False)
    calm_libraries()
    assert {name: os.environ[name] for name in QUIET} == dict(QUIET)


def test_what_the_user_set_stays(monkeypatch):
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "1")
    calm_libraries()
    assert os.environ["RAY_USAGE_STATS_ENABLED"] == "1"
