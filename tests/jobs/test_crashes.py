"""A job killed between any two of its durable steps loses nothing acknowledged and applies nothing twice."""

from __future__ import annotations

from pathlib import Path

import pytest

from recsys.context.feature_schema import SERVICE_PREFIX
from recsys.errors import ConfigError
from recsys.failpoints import VARIABLE, Failpoint, reached
from tests.killed_cases import outcomes_of

DRIVER = Path(__file__).with_name("crashing.py")
REBUILT = [f"rebuild {point}" for point in Failpoint if point.startswith("materialise.")]
"""The same places, passed by a job that has removed the whole feature store before."""
CASES = [*(point for point in map(str, Failpoint) if not point.startswith("train.")), *REBUILT]


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    """What was found after each kill, by case."""
    return outcomes_of(DRIVER, tmp_path_factory.mktemp("crashes"), CASES)


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_after_a_kill_reads_say_what_the_log_says_and_the_work_can_be_completed(outcomes, case):
    outcome = outcomes[case]
    assert "error" not in outcome, outcome["error"]
    assert outcome["killed"], "the job never came by"
    first, then = outcome["first"], outcome["then"]
    assert first.get("differences", []) == then["differences"] == [], "what is read is not what the log says"
    assert then["stored_differences"] == [], "the stored rows are not what the log says"
    assert then["twice"] == first.get("twice", 0) == 0
    assert then["removals_done"]
    assert then["position"] >= first.get("position", 0)


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_after_a_kill_every_acknowledged_event_is_there_once_and_no_deleted_one(outcomes, case):
    outcome = outcomes[case]
    job = case.split(".")[0]
    acknowledged = {"import": 20, "append": 38, "delete": 24, "prune": 12, "restore": 24}.get(job, 32)
    assert outcome["then"]["events"] == acknowledged
    if job == "append":
        assert outcome["first"]["events"] == (38 if case == Failpoint.APPEND_COMMITTED else 32)
    assert not outcome["made"], "a backup that was not finished has no name"
    if job == "delete":
        assert outcome["first"]["events"] == 24
        assert outcome["then"]["listed"] == [3, 3, 3], "the manifest says how many rows there are"
    if job in ("delete", "restore"):
        assert outcome["then"]["gone"] == 0
        assert outcome["left"] == outcome["then"]["rows_of_gone"] == []
        assert outcome["beside"] == []
    if job == "drop":
        [present] = outcome["then"]["versions"]
        assert outcome["then"]["folders"] == [present.removeprefix(SERVICE_PREFIX)]


def test_a_failpoint_that_does_not_exist_is_told(monkeypatch):
    monkeypatch.setenv(VARIABLE, "append.halfway")
    with pytest.raises(ConfigError, match=r"append\.halfway.*append\.written"):
        reached(Failpoint.APPEND_WRITTEN)


def test_other_failpoints_than_the_armed_one_do_nothing(monkeypatch):
    monkeypatch.setenv(VARIABLE, str(Failpoint.APPEND_COMMITTED))
    reached(Failpoint.APPEND_WRITTEN)
    monkeypatch.delenv(VARIABLE)
    reached(Failpoint.APPEND_COMMITTED)
