"""A configuration is typed, named or a file of yours, and every mistake in it is told at once."""

import pytest

from recsys.errors import ConfigError
from recsys.events import fold
from recsys.training.config import DEFAULT_NAME, RESERVED, TrainConfig, load_config, named_configurations


def test_every_named_configuration_loads():
    assert DEFAULT_NAME in named_configurations()
    for name in named_configurations():
        assert isinstance(load_config(name), TrainConfig)


def test_a_resolved_configuration_survives_json():
    config = load_config(overrides=["memories.memory.decays=[0.3, 0.8]", "head.kind=film"])
    assert TrainConfig.model_validate_json(config.model_dump_json()) == config


@pytest.mark.parametrize(
    ("override", "path", "value"),
    [
        ("body.width=128", ("body", "width"), 128),
        (" body.width = 128 ", ("body", "width"), 128),
        ("seed=3", ("seed",), 3),
        ("head.kind=film", ("head", "kind"), "film"),
        ('head.kind="full"', ("head", "kind"), "full"),
        ("memories.memory.windows=[3, 20]", ("memories", "memory", "windows"), (3, 20)),
        ("popularity.half_life_days=2.5", ("popularity", "half_life_days"), 2.5),
        ("body_training.learning_rate=1e-4", ("body_training", "learning_rate"), 1e-4),
    ],
)
def test_one_setting_is_overridden_and_the_rest_stays(override, path, value):
    changed = found = load_config(overrides=[override])
    for part in path:
        found = found[part] if isinstance(found, dict) else getattr(found, part)
    assert found == value
    plain = load_config().model_dump()
    expected = changed.model_dump()
    target, reset = plain, expected
    for part in path[:-1]:
        target, reset = target[part], reset[part]
    reset[path[-1]] = target[path[-1]]
    assert expected == plain


def test_the_last_override_of_a_setting_wins():
    assert load_config(overrides=["seed=1", "seed=2"]).seed == 2


def test_a_file_of_yours_is_read_and_overridden(tmp_path):
    mine = tmp_path / "mine.toml"
    mine.write_text("seed = 5\n[body]\nwidth = 32\n")
    config = load_config(str(mine), ["body.layers=1"])
    assert (config.seed, config.body.width, config.body.layers) == (5, 32, 1)


def test_all_unknown_keys_and_wrong_values_are_told_together(tmp_path):
    mine = tmp_path / "mine.toml"
    mine.write_text("sed = 5\n[body]\nwidht = 32\nlayers = 'two'\n[memories.memory]\ndecays = [0.5]\n")
    with pytest.raises(ConfigError) as caught:
        load_config(str(mine), ["head.kind=fancy", "generator.keeps=[]", "workers=0"])
    told = str(caught.value)
    for wrong in (
        "'sed' is not a setting",
        "'body.widht' is not a setting",
        "body.layers = 'two'",
        "memories.memory: decays, windows and ridges need the same number of entries",
        "head.kind = 'fancy'",
        "generator.keeps = []",
        "workers = 0",
    ):
        assert wrong in told, wrong
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("override", ["body.width", "=3", "body.=3", ".width=3", ""])
def test_an_override_that_is_none_shows_how_one_looks(override):
    with pytest.raises(ConfigError, match=r"section\.key=value"):
        load_config(overrides=[override])


def test_a_value_is_not_a_section():
    with pytest.raises(ConfigError, match="'width' is a value, not a section"):
        load_config(overrides=["body.width=8", "body.width.x=3"])
    with pytest.raises(ConfigError, match="body = 7"):
        load_config(overrides=["body=7"])


def test_an_unknown_name_lists_the_known_ones(tmp_path):
    with pytest.raises(ConfigError, match=DEFAULT_NAME):
        load_config("defualt")
    with pytest.raises(ConfigError, match="There is no configuration"):
        load_config(str(tmp_path / "missing.toml"))


def test_a_file_that_is_not_toml_is_named(tmp_path):
    (tmp_path / "broken.toml").write_text("seed = = 3")
    with pytest.raises(ConfigError, match=r"broken\.toml' is not TOML"):
        load_config(str(tmp_path / "broken.toml"))


def test_a_file_that_is_not_text_is_named(tmp_path):
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match=r"binary\.toml' cannot be read as text"):
        load_config(str(tmp_path / "binary.toml"))


def test_a_seed_that_torch_would_not_take_is_refused():
    with pytest.raises(ConfigError, match="seed = "):
        load_config(overrides=["seed=99999999999999999999999999"])


def test_the_history_is_no_longer_than_feature_rows_hold():
    assert TrainConfig().history_length == fold.HISTORY_LENGTH
    with pytest.raises(ConfigError, match="history_length = 201"):
        load_config(overrides=["history_length=201"])


def test_nothing_looks_further_back_than_the_history():
    further = r"body\.length is 200, memories\.memory\.windows is 40, memories\.long\.windows is 100 and history_length"
    with pytest.raises(ConfigError, match=further + " only 20"):
        load_config(overrides=["history_length=20"])
    own = ["history_length=20", "body.length=20", "memories.memory.windows=[8, 20]", "memories.long.windows=[20]"]
    assert load_config(overrides=own).history_length == 20


def test_a_memory_of_your_own_stands_beside_the_others():
    mine = "memories.mine={decays = [0.7], windows = [9], ridges = [50.0]}"
    config = load_config(overrides=[mine])
    assert list(config.memories) == [*load_config().memories, "mine"]
    assert config.memories["mine"].windows == (9,)


@pytest.mark.parametrize("name", [*sorted(RESERVED), "two words", "a.b", "3rd", ""])
def test_a_memory_cannot_have_the_name_of_another_expert_or_of_a_snapshots_tensors(name):
    own = {"decays": [0.5], "windows": [8], "ridges": [200.0]}
    with pytest.raises(ValueError, match="a memory cannot be called"):
        TrainConfig.model_validate({"memories": {name: own}})


def test_every_expert_but_the_body_and_popularity_can_be_left_out(tmp_path):
    fields = {"memories": {}, "long_term": None, "content": None, "repeat": None, "habit": None}
    assert TrainConfig.model_validate(fields).trend is None
    for wanted in ("body", "popularity"):
        with pytest.raises(ValueError, match=wanted):
            TrainConfig.model_validate({wanted: None})


def test_discovery_names_experts_of_the_configuration():
    assert load_config(overrides=['discovery=["memory", "body"]']).discovery == ("memory", "body")
    for wrong in ("nobody", "hypernetwork", "novelty"):
        with pytest.raises(ConfigError, match=f"discovery names {wrong}, which is no expert"):
            load_config(overrides=[f'discovery=["{wrong}"]'])


def test_a_configuration_cannot_be_changed_in_place():
    with pytest.raises(ValueError, match="frozen"):
        TrainConfig().seed = 4
