from copy import deepcopy

import pytest

from recsys.errors import ConfigError, RegistryError
from recsys.registry.metric_names import flat_metrics, tracked_name
from recsys.registry.policy import PromotionPolicy


def _toml(sections: dict[str, dict[str, object]]) -> str:
    def value(own: object) -> str:
        if isinstance(own, dict):
            return "{" + ", ".join(f'"{name}" = {inner}' for name, inner in own.items()) + "}"
        return f'"{own}"' if isinstance(own, str) else str(own).lower()

    return "\n".join(
        f"[{name}]\n" + "\n".join(f"{key} = {value(own)}" for key, own in section.items())
        for name, section in sections.items()
    )


@pytest.fixture
def read(tmp_path):
    """Reads the shipped policy with one key changed (None: left out)."""
    shipped = PromotionPolicy.load().model_dump()

    def read_with(section: str, key: str, own: object) -> PromotionPolicy:
        changed = deepcopy(shipped)
        changed[section][key] = own
        if own is None:
            del changed[section][key]
        path = tmp_path / "promotion.toml"
        path.write_text(_toml(changed))
        return PromotionPolicy.load(path)

    return read_with


def test_the_shipped_policy_asks_for_non_inferiority_in_ranking_and_log_loss():
    shipped = PromotionPolicy.load()
    assert list(shipped.quality.margins) == ["ndcg@10", "hr@10", "log_loss"]
    assert all(0 < margin < 0.1 for margin in shipped.quality.margins.values())
    assert shipped.quality.confidence == 0.95


def test_a_policy_of_ones_own_is_read(read):
    assert read("quality", "superiority", "always").quality.superiority == "always"


@pytest.mark.parametrize(
    ("section", "key", "own", "message"),
    [
        ("evidence", "minimum_users", None, r"evidence\.minimum_users: missing key"),
        ("evidence", "minimum_users", 1, r"evidence\.minimum_users: .* greater than or equal to 2"),
        ("evidence", "held_back", "yes", r"evidence\.held_back: .* boolean"),
        ("quality", "strict", True, r"quality\.strict: unknown key"),
        ("quality", "confidence", 1.5, r"quality\.confidence: .* less than 1"),
        ("quality", "superiority", "sometimes", r"quality\.superiority: "),
        ("quality", "margins", {"ctr": 0.1}, r"'ctr' is no figure; figures are ndcg@10"),
        ("quality", "margins", {"mrr": -0.1}, r"'mrr' has the margin -0\.1"),
        ("quality", "margins", {}, r"quality\.margins: "),
        ("groups", "significance", 0.0, r"groups\.significance: "),
        ("latency", "maximum_ratio", float("nan"), r"latency\.maximum_ratio: .* finite"),
    ],
)
def test_a_wrong_policy_says_what_is_wrong(read, section, key, own, message):
    with pytest.raises(ConfigError, match=message):
        read(section, key, own)


def test_a_policy_that_is_not_there_or_no_toml_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"nowhere\.toml cannot be read"):
        PromotionPolicy.load(tmp_path / "nowhere.toml")
    (tmp_path / "p.toml").write_text("metric = ")
    with pytest.raises(ConfigError, match=r"p\.toml cannot be read"):
        PromotionPolicy.load(tmp_path / "p.toml")


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
