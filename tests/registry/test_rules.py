"""What the rules make of figures: each lets a good version through and refuses a bad one with numbers."""

import numpy as np
import pytest

from recsys.registry.policy import PromotionPolicy
from recsys.registry.rules import calibration, groups, latency, quality
from recsys.registry.trial import Showing, Trial

USERS = 400
POLICY = PromotionPolicy.load()


def _showing(ndcg: np.ndarray, *, stated: float = 0.3, seed: int = 1) -> Showing:
    rng = np.random.default_rng(seed)
    return Showing(
        figures={"ndcg@10": ndcg, "hr@10": (ndcg > 0.2).astype(float), "mrr": ndcg, "log_loss": 6 - ndcg},
        list_probabilities=np.full(len(ndcg), stated),
        hit=rng.random(len(ndcg)) < 0.3,
    )


def _trial(candidate: np.ndarray, champion: np.ndarray, groups=None, stated=(0.3, 0.3)) -> Trial:
    return Trial(
        source="later events",
        candidate=_showing(candidate, stated=stated[0]),
        champion=_showing(champion, stated=stated[1]),
        groups=groups or {},
        fresh=np.ones(len(candidate), dtype=bool),
        milliseconds=(np.ones(60), np.ones(60)),
    )


@pytest.fixture
def base():
    return np.random.default_rng(3).uniform(0.1, 0.5, USERS)


def _quality(trial, superiority="never", newer=False):
    return quality(POLICY.quality.model_copy(update={"superiority": superiority}), trial, newer=newer)


def test_an_equal_version_is_not_inferior(base):
    found = _quality(_trial(base, base))
    assert found.passed
    assert "On 400 users (later events): ndcg@10" in found.said


def test_a_worse_version_is_refused_by_figure(base):
    found = _quality(_trial(base * 0.8, base))
    assert not found.passed
    assert "Inferior, or not shown to be as good: ndcg@10" in found.said


def test_a_version_of_which_too_little_is_known_is_refused(base):
    noise = np.random.default_rng(5).normal(0, 0.3, 20)
    found = _quality(_trial(base[:20] + noise - noise.mean(), base[:20]))
    assert not found.passed
    assert "not shown to be as good" in found.said


def test_of_the_log_loss_less_is_better(base):
    policy = POLICY.quality.model_copy(update={"margins": {"log_loss": 0.01}, "superiority": "always"})
    better, worse = (quality(policy, _trial(base + by, base), newer=False) for by in (0.2, -0.2))
    assert (better.passed, worse.passed) == (True, False)
    assert "Superior: log_loss" in better.said


@pytest.mark.parametrize(
    ("superiority", "newer", "passed"),
    [("always", True, False), ("unless_newer", False, False), ("unless_newer", True, True), ("never", False, True)],
)
def test_an_equal_version_must_be_superior_where_that_is_asked_for(base, superiority, newer, passed):
    found = _quality(_trial(base, base), superiority, newer)
    assert found.passed is passed
    assert ("No figure is better beyond noise" in found.said) is not passed


def test_a_better_version_is_superior(base):
    found = _quality(_trial(base * 1.1, base), "always")
    assert found.passed
    assert "Superior: ndcg@10" in found.said


def test_a_figure_that_nobody_has_is_no_evidence(base):
    trial = _trial(base, base)
    trial.candidate.figures["log_loss"][:] = np.inf
    found = _quality(trial)
    assert not found.passed
    assert "log_loss" in found.said


def test_a_group_that_loses_is_named_though_the_mean_wins(base):
    plan = np.where(np.arange(USERS) < 100, "free", "paid")
    candidate = np.where(plan == "free", base * 0.7, base * 1.3)
    found = groups(POLICY.groups, _trial(candidate, base, {"plan": list(plan)}), "ndcg@10")
    assert not found.passed
    assert found.said.startswith("Worse beyond noise: plan free: ndcg@10 -0.")
    assert "plan paid" not in found.said


def test_small_groups_and_users_of_no_group_are_left_out(base):
    labels = ["rare"] * 99 + [None] * (USERS - 99)
    found = groups(POLICY.groups, _trial(base * 0.5, base, {"plan": labels}), "ndcg@10")
    assert found.passed
    assert found.said == "No group has 100 users."


def test_many_groups_are_judged_together():
    rng = np.random.default_rng(11)
    champion = rng.uniform(0.1, 0.5, 4_000)
    candidate = champion + rng.normal(0, 0.1, 4_000)
    labels = [f"g{n % 40}" for n in range(4_000)]
    assert groups(POLICY.groups, _trial(candidate, champion, {"city": labels}), "ndcg@10").passed


def test_chances_that_come_true_pass_and_promises_do_not(base):
    assert calibration(POLICY.calibration, _trial(base, base)).passed
    found = calibration(POLICY.calibration, _trial(base, base, stated=(0.8, 0.3)))
    assert not found.passed
    assert "tolerance 0.0200" in found.said


def test_a_version_calibrated_no_worse_than_the_champion_passes(base):
    assert calibration(POLICY.calibration, _trial(base, base, stated=(0.7, 0.8))).passed


@pytest.mark.parametrize(
    ("candidate", "champion", "passed"), [(20, 20, True), (40, 20, False), (4, 1, True), (120, 110, False)]
)
def test_a_version_may_be_little_slower_than_the_champion(candidate, champion, passed):
    found = latency(POLICY.latency, (np.full(60, float(candidate)), np.full(60, float(champion))))
    assert found.passed is passed
    assert f"p95 of one answer {candidate}.0 ms" in found.said
