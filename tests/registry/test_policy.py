from pathlib import Path

import pytest

from recsys.errors import ConfigError, RegistryError
from recsys.registry.metric_names import flat_metrics, tracked_name
from recsys.registry.policy import PromotionPolicy, judge
from recsys.registry.versions import RegisteredVersion

POLICY = PromotionPolicy(metric="validation.ndcg@10", tolerance=0.002)


def _version(number: str, ndcg: float | None) -> RegisteredVersion:
    metrics = {} if ndcg is None else {"validation.ndcg_at_10": ndcg}
    return RegisteredVersion(number, "run", "content", "snapshot", metrics, Path("nowhere"))


def test_the_shipped_policy_compares_validation_ndcg():
    shipped = PromotionPolicy.load()
    assert shipped.metric == "validation.ndcg@10"
    assert 0 < shipped.tolerance < 0.01


@pytest.mark.parametrize("ndcg", [0.31, 0.3, 0.299, 0.298])
def test_a_candidate_within_the_tolerance_is_allowed(ndcg):
    assert judge(POLICY, _version("2", ndcg), _version("1", 0.3)).allowed


def test_a_worse_candidate_is_refused_with_the_figures():
    verdict = judge(POLICY, _version("2", 0.25), _version("1", 0.3))
    assert not verdict.allowed
    assert verdict.reason == (
        "validation.ndcg@10 0.2500 of version 2 against 0.3000 of the champion (version 1): -0.0500, tolerance 0.0020."
    )
    assert (verdict.candidate, verdict.champion) == (0.25, 0.3)


def test_the_first_version_has_nothing_to_beat():
    assert judge(POLICY, _version("1", 0.01), None).allowed


@pytest.mark.parametrize(
    ("candidate", "champion", "silent"), [(None, 0.3, "2"), (0.3, None, "1"), (float("nan"), 0.3, "2")]
)
def test_a_version_without_the_figure_is_refused(candidate, champion, silent):
    verdict = judge(POLICY, _version("2", candidate), _version("1", champion))
    assert not verdict.allowed
    assert f"version {silent} has no validation.ndcg@10 recorded" in verdict.reason


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('metric = "m"', "missing key 'tolerance'"),
        ('metric = "m"\ntolerance = 0.1\nstrict = true', "unknown key 'strict'"),
        ('metric = "m"\ntolerance = -0.1', "from 0 up"),
        ('metric = "m"\ntolerance = nan', "from 0 up"),
        ('metric = "m"\ntolerance = "0.1"', "from 0 up"),
        ('metric = "m"\ntolerance = true', "from 0 up"),
        ('metric = ""\ntolerance = 0.1', "must be a name"),
        ("metric = ", "cannot be read"),
    ],
)
def test_a_wrong_policy_says_what_is_wrong(tmp_path, text, message):
    path = tmp_path / "promotion.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=message):
        PromotionPolicy.load(path)


def test_a_missing_policy_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"nowhere\.toml cannot be read"):
        PromotionPolicy.load(tmp_path / "nowhere.toml")


def test_metrics_are_flattened_to_dotted_names():
    assert flat_metrics({"validation": {"ndcg@10": 0.3, "by": {"hr": 1}}, "test/x": 2}) == {
        "validation.ndcg@10": 0.3,
        "validation.by.hr": 1.0,
        "test.x": 2.0,
    }


@pytest.mark.parametrize("value", ["0.3", None, True, [0.3]])
def test_a_metric_that_is_no_number_is_named(value):
    with pytest.raises(RegistryError, match=r"'validation\.ndcg@10' is a"):
        flat_metrics({"validation": {"ndcg@10": value}})


def test_names_mlflow_refuses_are_translated():
    assert tracked_name("validation.ndcg@10 (full)") == "validation.ndcg_at_10 _full_"
