"""The Feast repository: what Feast's own command line finds in it is what the library declares."""

import shutil
import sys
from dataclasses import replace

import pytest

from recsys.context.engine import Engine
from recsys.context.layout import configuration, workspace_of_environment
from recsys.context.rows import feature_service_name, profile_fields
from recsys.errors import ConfigError
from recsys.shipped import shipped_folder

pytestmark = pytest.mark.slow


@pytest.fixture
def contents(world, tmp_path, monkeypatch):
    from feast.repo_operations import parse_repo

    copy = tmp_path / "features"
    shutil.copytree(shipped_folder("features"), copy, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setenv("RECSYS_HOME", str(world.workspace.home))
    monkeypatch.setenv("RECSYS_WORKSPACE", world.workspace.name)
    monkeypatch.chdir(copy)
    monkeypatch.syspath_prepend(str(copy))
    yield parse_repo(copy)
    for module in ("repository", "user_features"):
        sys.modules.pop(module, None)


def test_views_hold_the_fixed_features_and_the_typed_profile(world, contents):
    views = {view.name: view for view in contents.feature_views}
    assert set(views) == {"user_context", "user_seen", "user_row_validity"}
    types = {field.name: str(field.dtype) for field in views["user_context"].schema}
    assert set(profile_fields(world.schema).values()) < set(types)
    assert (types["history_items"], types["history_times"], types["history_values"]) == (
        "Array(String)",
        "Array(Int64)",
        "Array(Float32)",
    )
    assert (types["profile_age"], types["profile_likes"], types["profile_zip_code"]) == (
        "Float64",
        "Array(String)",
        "String",
    )


def test_the_service_is_named_after_the_schema_and_knows_nothing_of_the_future(world, contents):
    (service,) = contents.feature_services
    assert service.name == feature_service_name(world.schema)
    assert service.tags == {"schema_hash": world.schema.feature_hash()}
    features = {field.name for view in service.feature_view_projections for field in view.features}
    assert "seen_items" in features
    assert "valid_until" not in features


def test_what_tells_of_the_future_never_goes_online(contents):
    online = {view.name: view.online for view in contents.feature_views}
    assert online == {"user_context": True, "user_seen": True, "user_row_validity": False}


def test_without_a_workspace_the_message_says_what_to_set():
    with pytest.raises(ConfigError, match=r"\$RECSYS_WORKSPACE"):
        workspace_of_environment()


def test_the_configuration_has_absolute_paths_and_a_name_that_feast_accepts(world):
    import yaml

    text = configuration(replace(world.workspace, name="movielens-100k"), Engine())
    parsed = yaml.safe_load(text)
    assert parsed["project"] == "movielens_100k"
    assert parsed["registry"]["path"] == f"sqlite:///{world.workspace.home}/movielens-100k/feature_store/registry.db"
    assert parsed["online_store"]["path"].startswith(str(world.workspace.home))
    assert parsed["offline_store"] == {"type": "duckdb"}
