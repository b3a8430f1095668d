"""The Feast repository: what Feast's own command line finds in it is what the library declares."""

import shutil
import sys
from dataclasses import replace

import pytest

from recsys.context.engine import Engine
from recsys.context.feature_schema import FeatureSchema, is_context_service
from recsys.context.layout import OFFLINE_STORE, configuration, workspace_of_environment
from recsys.context.rows import feature_schema, feature_service_name, profile_fields
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
    for module in ("repository", "user_features", "item_features"):
        sys.modules.pop(module, None)


def test_views_hold_the_fixed_features_and_the_typed_profile(world, contents):
    views = {view.name.rpartition("_")[0]: view for view in contents.feature_views}
    assert set(views) == {"user_context", "user_seen", "user_row_validity", "item_features"}
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
    (service,) = (one for one in contents.feature_services if is_context_service(one.name))
    version = feature_schema(world.schema)
    assert service.name == version.service == feature_service_name(world.schema)
    assert service.tags["schema_hash"] == version.sha256
    assert FeatureSchema.from_json(service.tags["feature_schema"]) == version
    features = {field.name for view in service.feature_view_projections for field in view.features}
    assert "seen_items" in features
    assert "valid_until" not in features


def test_what_tells_of_the_future_never_goes_online(contents):
    online = {view.name.rpartition("_")[0]: view.online for view in contents.feature_views}
    assert online == {"user_context": True, "user_seen": True, "item_features": True, "user_row_validity": False}


def test_live_rows_come_through_a_push_source_and_everything_says_whose_it_is(contents):
    from feast import PushSource

    views = {view.name.rpartition("_")[0]: view for view in contents.feature_views}
    pushed = [name for name, view in views.items() if isinstance(view.stream_source, PushSource)]
    assert pushed == ["user_context", "user_seen"]
    declared = (*contents.feature_views, *contents.entities, *contents.data_sources, *contents.feature_services)
    named = [one for one in declared if one.name != "__dummy"]
    assert {entity.name for entity in contents.entities} >= {"user", "item"}
    assert all(one.owner and one.description and one.tags for one in named)


def test_items_have_their_typed_columns_and_a_count(world, contents):
    views = {view.name.rpartition("_")[0]: view for view in contents.feature_views}
    types = {field.name: str(field.dtype) for field in views["item_features"].schema}
    assert types == {
        "item_id": "String",
        "item_name": "String",
        "item_genre": "Array(String)",
        "item_genre_2": "String",
        "item_size": "Float64",
        "event_count": "Int64",
        "log_position": "Int64",
    }


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
    assert parsed["offline_store"] == {"type": OFFLINE_STORE}
