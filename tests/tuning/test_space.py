"""A space says what may change; what it names must exist, and what it yields must be a configuration."""

import pytest

from recsys.errors import ConfigError
from recsys.training.config import load_config, named_configurations
from recsys.tuning.sampling import decoded, distributions, encoded
from recsys.tuning.space import SearchSpace

BASE = load_config("quickstart")


@pytest.fixture
def load(tmp_path):
    def make(text, base=BASE):
        (tmp_path / "space.toml").write_text(text)
        return SearchSpace.load(tmp_path / "space.toml", base)

    return make


@pytest.mark.parametrize("name", named_configurations())
def test_every_shipped_configuration_lies_in_the_shipped_space(name):
    base = load_config(name)
    space = SearchSpace.load(None, base)
    point = space.point_of(base)
    assert point is not None
    assert space.applied(base, point) == base


def test_settings_have_choices_of_any_kind_or_ranges(load):
    space = load(
        "[body]\nwidth = { choices = [32, 64] }\ndropout = { low = 0, high = 0.5 }\n"
        "[body_training]\nepochs = { low = 2, high = 8, log = true }\n"
        "[memories.memory]\nridges = { choices = [[200.0, 300.0], [20.0, 30.0]] }\n"
    )
    assert list(space.dimensions) == ["body.width", "body.dropout", "body_training.epochs", "memories.memory.ridges"]
    point = {"body.width": 32, "body.dropout": 0.25, "body_training.epochs": 3, "memories.memory.ridges": [20.0, 30.0]}
    chosen = space.applied(BASE, point)
    assert (chosen.body.width, chosen.body_training.epochs) == (32, 3)
    assert chosen.memories["memory"].ridges == (20.0, 30.0)
    assert chosen.memories["memory"].decays == BASE.memories["memory"].decays
    assert space.largest("body_training.epochs", 99) == 8
    assert space.largest("generator.epochs", 99) == 99
    assert decoded(encoded(point, space), space) == point


def test_a_base_outside_the_space_has_no_point_in_it(load):
    assert load("[body]\nwidth = { choices = [32, 64] }").point_of(BASE) == {"body.width": 64}
    assert load("[body]\nwidth = { choices = [32, 128] }").point_of(BASE) is None
    assert load("[body]\ndropout = { low = 0.3, high = 0.5 }").point_of(BASE) is None


def test_what_is_sampled_is_of_the_settings_kind(load):
    space = load(
        "[body]\nlayers = { low = 1, high = 3 }\ndropout = { low = 0.1, high = 0.5 }\n"
        "[head]\nkind = { choices = ['film'] }"
    )
    layers, dropout, kind = distributions(space).values()
    assert (layers.low, layers.high, layers.log) == (1, 3, False)
    assert (dropout.low, dropout.high) == (0.1, 0.5)
    assert decoded({"body.layers": 2, "body.dropout": 0.2, "head.kind": 0}, space)["head.kind"] == "film"
    assert len(kind.choices) == 1


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[body]\nwdth = { choices = [1] }", "'body.wdth' is not a setting"),
        ("[bodyy]\nwidth = { choices = [1] }", "'bodyy.width' is not a setting"),
        ("[body]\nwidth = { low = 4, high = 64 }", "body.width = 4: .*greater than or equal to 8"),
        ("[head]\nkind = { choices = ['film', 'odd'] }", "head.kind = 'odd'"),
        ("[body]\nwidth = 64", "gives body.width a value"),
        ("[body]\nwidth = { low = 64, high = 8 }", "body.width: low must be below high"),
        ("[body]\ndropout = { low = 0, high = 0.5, log = true }", "above 0 with log"),
        ("[body]\nwidth = { low = 8 }", "body.width.high: Field required"),
        ("[body]\nwidth = { choices = [] }", "body.width.choices"),
        ("[body]\nwidth = { choices = [8], step = 2 }", "body.width.step"),
        ("", "names no setting"),
        ("[body", "cannot be read"),
    ],
)
def test_a_space_that_cannot_be_used_says_what_is_wrong(load, text, says):
    with pytest.raises(ConfigError, match=says):
        load(text)


def test_values_that_do_not_go_together_are_found_when_they_meet(load):
    space = load("[body]\nwidth = { choices = [60, 64] }\nheads = { choices = [2, 15] }")
    with pytest.raises(ConfigError, match="does not split"):
        space.applied(BASE, {"body.width": 64, "body.heads": 15})


def test_a_space_that_is_not_there_says_so(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read"):
        SearchSpace.load(tmp_path / "none.toml", BASE)
