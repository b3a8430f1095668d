"""Which engines a feature store runs on: from a file or the environment, checked, and never a secret in clear."""

import pytest
import yaml

from recsys.context.engine import VARIABLES, Engine, settings_file
from recsys.context.layout import OFFLINE_STORE, configuration, project
from recsys.errors import ConfigError
from recsys.workspace import Workspace

PASSWORD = "s3cr%2Ft"
REDIS = f"redis://:{PASSWORD}@127.0.0.1:6379/0"
POSTGRES = f"postgresql+psycopg://recsys:{PASSWORD}@127.0.0.1:5432/recsys"


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch):
    for variable in VARIABLES.values():
        monkeypatch.delenv(variable, raising=False)


@pytest.fixture
def workspace(tmp_path):
    (tmp_path / "a-b").mkdir()
    return Workspace(name="a-b", home=tmp_path)


def write(workspace, text):
    settings_file(workspace).write_text(text)


def test_without_settings_everything_is_embedded(workspace):
    engine = Engine.of(workspace)
    assert engine.embedded
    assert (engine.registry, engine.online_store, engine.join_shards) == ("sqlite", "sqlite", 1)


def test_a_file_names_services_and_variables_hold_the_secrets(workspace, monkeypatch):
    write(workspace, 'online_store = "redis://:${CACHE_PASSWORD}@127.0.0.1:6379/0"\njoin_shards = 4\n')
    monkeypatch.setenv("CACHE_PASSWORD", PASSWORD)
    engine = Engine.of(workspace)
    assert engine.url("online_store") == REDIS
    assert (engine.embedded, engine.registry, engine.join_shards) == (False, "sqlite", 4)


def test_the_environment_wins_over_the_file(workspace, monkeypatch):
    write(workspace, 'online_store = "redis://elsewhere/0"\nread_timeout_ms = 7\n')
    monkeypatch.setenv("RECSYS_ONLINE_STORE", REDIS)
    monkeypatch.setenv("RECSYS_READ_TIMEOUT_MS", "9")
    engine = Engine.of(workspace)
    assert (engine.url("online_store"), engine.read_timeout_ms) == (REDIS, 9)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("online = 1", "`online` in .*feature_store.toml is unknown .known: registry, online_store"),
        ('read_timeout_ms = "soon"', "`read_timeout_ms` in .*valid integer"),
        ("join_shards = 0", "join_shards.*greater than or equal to 1"),
        ("registry = [", "cannot be read"),
        ('registry = "mysql://x/y"', r"`registry` .* postgresql\+psycopg://.*for example"),
        ('online_store = "postgresql+psycopg://x/y"', "`online_store` .* redis:// or rediss://"),
        ('online_store = "redis://:${NOT_SET_ANYWHERE}@x/0"', "variable NOT_SET_ANYWHERE; it is not set"),
        ('online_store = "redis://:a$b@x/0"', "percent-encode it"),
        ('registry = "postgresql+psycopg://x y/z"', "percent-encode them"),
    ],
)
def test_wrong_settings_end_in_one_message_that_says_which(workspace, text, message):
    write(workspace, text)
    with pytest.raises(ConfigError, match=message):
        Engine.of(workspace)


def test_a_missing_client_is_named_with_what_installs_it(workspace, monkeypatch):
    monkeypatch.setenv("RECSYS_ONLINE_STORE", REDIS)
    monkeypatch.setattr("recsys.context.engine.find_spec", lambda _: None)
    with pytest.raises(ConfigError, match=r"pip install 'recsys\[redis\]'"):
        Engine.of(workspace)


def test_a_wrong_variable_is_named(workspace, monkeypatch):
    monkeypatch.setenv("RECSYS_JOIN_SHARDS", "many")
    with pytest.raises(ConfigError, match=r"\$RECSYS_JOIN_SHARDS: .*integer"):
        Engine.of(workspace)


def test_a_password_in_clear_in_the_file_is_refused_and_not_repeated(workspace):
    write(workspace, f'registry = "{POSTGRES}"')
    with pytest.raises(ConfigError, match="password in clear") as refused:
        Engine.of(workspace)
    assert PASSWORD not in str(refused.value)


def test_no_message_holds_a_secret(workspace, monkeypatch):
    monkeypatch.setenv("RECSYS_ONLINE_STORE", REDIS)
    monkeypatch.setenv("RECSYS_FEATURE_REGISTRY", POSTGRES)
    told = Engine.of(workspace).without_secrets(f"cannot reach {REDIS} or {POSTGRES} ({PASSWORD})")
    assert PASSWORD not in told


def test_the_configuration_refers_to_variables_and_holds_no_secret(workspace, monkeypatch):
    monkeypatch.setenv("RECSYS_ONLINE_STORE", REDIS)
    monkeypatch.setenv("CACHE", PASSWORD)
    write(workspace, 'registry = "postgresql+psycopg://recsys:${CACHE}@127.0.0.1/recsys"')
    text = configuration(workspace, Engine.of(workspace))
    assert PASSWORD not in text
    parsed = yaml.safe_load(text)
    assert parsed["registry"]["path"] == "postgresql+psycopg://recsys:${CACHE}@127.0.0.1/recsys"
    assert parsed["online_store"]["url"] == "${RECSYS_ONLINE_STORE}"
    assert parsed["offline_store"] == {"type": OFFLINE_STORE}


def test_on_shared_services_each_workspace_has_names_of_its_own(workspace, monkeypatch, tmp_path):
    assert project(workspace, Engine.of(workspace)) == "a_b"
    monkeypatch.setenv("RECSYS_ONLINE_STORE", REDIS)
    engine = Engine.of(workspace)
    copy = Workspace(name="a-b", home=tmp_path / "copies")
    assert project(workspace, engine).startswith("a_b_")
    assert project(workspace, engine) == project(Workspace(name="a-b", home=tmp_path), engine)
    assert project(workspace, engine) != project(copy, engine)
