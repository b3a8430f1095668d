"""The retraining flow continues where it was killed and does nothing twice."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
STEPS = ["ingest", "train", "evaluate", "promote"]
KILLS = [f"{step}-{moment}" for step in STEPS for moment in ("before", "after")]

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    """What a resumed run found after each kill."""
    driver = [sys.executable, str(Path(__file__).with_name("retraining.py")), str(tmp_path_factory.mktemp("kills"))]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(driver, capture_output=True, text=True, check=False, env=environment)
    found = {one["kill"]: one for one in map(json.loads, done.stdout.splitlines())}
    assert set(found) == {"none", *KILLS}, done.stderr[-3000:]
    return found


def test_a_first_run_makes_the_workspace_and_its_first_champion(outcomes):
    run = outcomes["none"]["run"]
    assert "error" not in run, run["error"]
    assert list(run["outputs"]) == STEPS
    assert run["known"] == []
    assert run["outputs"]["promote"]["promoted"]


@pytest.mark.parametrize("kill", KILLS)
def test_a_killed_run_continues_where_it_stopped(outcomes, kill):
    found = outcomes[kill]
    assert "error" not in found, found["error"]
    assert found["killed"], "the flow never came by"
    step, moment = kill.split("-")
    done = STEPS.index(step) + (moment == "after")
    assert found["run"]["known"] == STEPS[:done]
    assert list(found["run"]["outputs"]) == STEPS


@pytest.mark.parametrize("kill", KILLS)
def test_nothing_is_done_twice(outcomes, kill):
    found = outcomes[kill]
    assert found["versions"] == [1, 2], "the killed run's version was trained again"
    assert found["position"] == 40 * 11
    if found["run"]["outputs"]["promote"]["promoted"]:
        assert (found["champion"], found["moves"]) == ("2", [[None, "1"], ["1", "2"]])
    else:
        assert (found["champion"], found["moves"]) == ("1", [[None, "1"]])


def test_the_second_run_began_from_the_champion(outcomes):
    said = outcomes["train-after"]["run"]["outputs"]["train"]["said"]
    assert said == "version 2 registered, begun from version 1"
