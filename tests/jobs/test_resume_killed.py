"""A training job that was killed is resumed to the very model that it would have come to."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.killed_cases import outcomes_of

pytestmark = pytest.mark.slow

DRIVER = Path(__file__).with_name("resuming.py")
WHOLE = "none 0 again"
KILLED = ["train.begun 1 resume", "train.step-done 8 resume", "train.step-done 8 again", "train.body-fitted 1 resume"]
REGISTERED = "train.registered 1 resume"


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    """What came of each case."""
    cases = [WHOLE, *KILLED, REGISTERED]
    return outcomes_of(DRIVER, tmp_path_factory.mktemp("resumed"), cases)


@pytest.mark.parametrize("case", KILLED)
def test_what_is_registered_is_what_an_uninterrupted_run_registers(outcomes, case):
    killed, whole = outcomes[case], outcomes[WHOLE]["outcome"]
    assert killed["killed"]
    outcome = killed["outcome"]
    assert "error" not in outcome, outcome.get("trace")
    assert outcome["content_hash"] == whole["content_hash"]
    assert outcome["metrics"] == whole["metrics"]
    assert killed["versions"] == [1]


def test_only_what_was_lost_is_done_again(outcomes):
    whole = outcomes[WHOLE]["outcome"]["steps"]
    steps = {case: outcomes[case]["outcome"]["steps"] for case in KILLED}
    assert steps["train.begun 1 resume"] == whole
    assert whole - 8 <= steps["train.step-done 8 resume"] < whole
    assert steps["train.step-done 8 again"] == steps["train.step-done 8 resume"], "a flow's key finds its run"
    assert steps["train.body-fitted 1 resume"] == 0


def test_a_run_that_was_killed_after_it_registered_is_not_made_twice(outcomes):
    killed = outcomes[REGISTERED]
    assert killed["killed"]
    assert "is finished: it registered version 1" in killed["outcome"]["error"]
    assert killed["versions"] == [1]


@pytest.mark.parametrize("case", [WHOLE, *KILLED])
def test_once_a_version_is_registered_only_the_plan_is_left(outcomes, case):
    assert outcomes[case]["left"] == ["run.json", "run.lock"]
    assert outcomes[case]["finished_as"] == "1"
