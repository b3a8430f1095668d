"""Two real versions judged on a real log: the one that knows where users go next wins, the other is refused by rule."""

import polars as pl
import pytest
import torch

from recsys.context.feature_schema import FeatureSchema
from recsys.context.row_folders import materialisation_file
from recsys.context.rows import feature_schema
from recsys.data.canonical import EVENT_SCHEMA
from recsys.data.catalogue import Catalogue
from recsys.errors import SnapshotError
from recsys.events.log import EventLog
from recsys.registry.judging import judge
from recsys.registry.policy import PromotionPolicy
from recsys.registry.snapshot import Snapshot
from recsys.registry.versions import RegisteredVersion
from recsys.workspace import Workspace
from tests.registry.conftest import SHOP, VOCABULARY

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("real_judge")]

USERS, ROUNDS = 150, 6
N = len(VOCABULARY)
DAY = 86_400_000_000
EARLY = USERS * (ROUNDS - 1)
"""Position of the log before everybody's last event."""
ALL = USERS * ROUNDS


@pytest.fixture
def shop(workspace):
    """Every user goes from one item to the next; all first events come first in the log, then all second ones, …"""
    SHOP.save(workspace.schema_file)
    rows = [
        (f"e{user}-{round_}", f"u{user}", VOCABULARY[(user + round_) % N], (round_ + 1) * DAY + user, None, 1.0)
        for round_ in range(ROUNDS)
        for user in range(USERS)
    ]
    EventLog(workspace.event_log).append(pl.DataFrame(rows, schema=EVENT_SCHEMA, orient="row"))
    users = pl.DataFrame({"user_id": [f"u{n}" for n in range(USERS)], "plan": ["free", "paid"] * (USERS // 2)})
    Catalogue(users, pl.DataFrame(schema=SHOP.items_frame_schema()), SHOP).save(workspace)
    _materialised(workspace, feature_schema(SHOP))
    return workspace


def _materialised(workspace: Workspace, version: FeatureSchema) -> None:
    file = materialisation_file(workspace, version)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("{}")


def _steps(by: int) -> torch.Tensor:
    """Memory weights that point `by` items on."""
    weights = torch.zeros(1, N + 1, N)
    for item in range(N):
        weights[0, item + 1, (item + by) % N] = 8.0
    return weights


@pytest.fixture
def made(shop, write_model, tmp_path):
    """Makes a version, not registered, that points so many items on; 1 is right."""
    numbers = iter(range(1, 100))

    def make(by: int, log_position: int = EARLY) -> RegisteredVersion:
        number = str(next(numbers))
        return _version(number, write_model(tmp_path / number, memory=_steps(by), log_position=log_position))

    return make


def _version(number: str, snapshot: Snapshot) -> RegisteredVersion:
    return RegisteredVersion(number, "run", snapshot.content_hash, snapshot.snapshot_hash, {}, snapshot.folder)


@pytest.fixture
def verdict(shop):
    """What the policy says of a version against another, by rule."""

    def ask(candidate: RegisteredVersion, opponent: RegisteredVersion | None, policy: PromotionPolicy | None = None):
        found = judge(shop, candidate, opponent, policy or _lenient())
        return {finding.rule: finding for finding in found.findings}

    return ask


def _lenient(**sections) -> PromotionPolicy:
    """The shipped policy; random probabilities are not calibrated and shared machines not quick."""
    raw = PromotionPolicy.load().model_dump()
    raw["calibration"]["tolerance"], raw["latency"]["negligible_ms"] = 1.0, 1e6
    raw["latency"]["maximum_p95_ms"] = 1e6
    for section, own in sections.items():
        raw[section] |= own
    return PromotionPolicy.model_validate(raw)


def test_the_better_version_wins_on_events_after_both_cut_offs(made, verdict):
    found = verdict(made(1), made(3))
    assert set(found) == {"features", "data", "evidence", "quality", "groups", "calibration", "latency"}
    assert all(finding.passed for finding in found.values())
    assert found["evidence"].said.startswith("150 users have an event after both cut-offs (log position 750)")
    assert "Superior: ndcg@10" in found["quality"].said


def test_the_worse_version_is_refused_by_quality_and_groups_with_figures(made, verdict):
    found = verdict(made(3), made(1), _lenient(groups={"minimum_users": 50}))
    assert {rule for rule, finding in found.items() if not finding.passed} == {"quality", "groups"}
    assert "On 150 users (later events): ndcg@10 0." in found["quality"].said
    assert "plan free" in found["groups"].said


def test_an_equal_version_needs_newer_events(made, verdict):
    champion_, same, newer = made(1), made(1), made(1, EARLY + 1)
    found = verdict(same, champion_)["quality"]
    assert not found.passed
    assert "it knows no newer events" in found.said
    assert verdict(newer, champion_)["quality"].passed


def test_without_later_events_those_that_both_held_back_judge(made, verdict):
    found = verdict(made(1, ALL), made(3, ALL))
    assert "0 users have an event after both cut-offs" in found["evidence"].said
    assert "150 one that both trainings held back" in found["evidence"].said
    assert "(held-back events)" in found["quality"].said
    assert found["quality"].passed


@pytest.mark.parametrize("evidence", [{"held_back": False}, {"minimum_users": 151}])
def test_too_few_users_are_no_evidence(made, verdict, evidence):
    found = verdict(made(1, ALL), made(3, ALL), _lenient(evidence=evidence))
    assert not found["evidence"].passed
    assert "quality" not in found


def test_the_first_version_is_judged_alone(made, verdict):
    found = verdict(made(3), None)
    assert all(finding.passed for finding in found.values())
    assert found["quality"].said == "There is no champion yet to compare it with."


def test_a_version_whose_features_are_not_stored_is_refused(shop, made, verdict):
    materialisation_file(shop, feature_schema(SHOP)).unlink()
    found = verdict(made(1), None)["features"]
    assert not found.passed
    assert "recsys features materialise" in found.said


@pytest.mark.parametrize(("position", "told"), [(ALL // 2, "50.0%"), (ALL + 5, "log position 905")])
def test_a_version_that_knows_too_little_or_another_log_is_refused(made, verdict, position, told):
    found = verdict(made(1, position), None)["data"]
    assert not found.passed
    assert told in found.said


def test_a_champion_that_can_no_longer_be_served_stands_in_nobodys_way(made, make_snapshot, tmp_path, verdict):
    found = verdict(made(1), _version("9", make_snapshot(tmp_path / "odd")))
    assert found["quality"].passed
    assert "can no longer be served" in found["quality"].said


def test_a_version_that_cannot_be_loaded_is_not_judged(made, make_snapshot, tmp_path, verdict):
    with pytest.raises(SnapshotError):
        verdict(_version("9", make_snapshot(tmp_path / "odd")), None)
