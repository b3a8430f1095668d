"""The registered model as MLflow loads it; the scorer and the feature store are stand-ins, all else is real."""

import shutil
import sys
from dataclasses import dataclass
from types import SimpleNamespace

import pandas as pd
import polars as pl
import pytest

from recsys.context.batch import FeatureRow
from recsys.data.catalogue import Catalogue
from recsys.registry.client import registry, tracking_uri
from recsys.registry.promotion import champion, promote

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Ranking:
    item_ids: tuple[str, ...]
    scores: tuple[float, ...]


class FakeRecommender:
    """Ranks the vocabulary as it stands for known users, backwards for unknown ones."""

    def __init__(self, snapshot, version):
        self.version = version
        self.vocabulary = snapshot.vocabulary

    def recommend(self, rows, k=10):
        orders = [self.vocabulary if row.present else self.vocabulary[::-1] for row in rows]
        return [Ranking(order[:k], tuple(1.0 - place for place in range(len(order[:k])))) for order in orders]


class FakeReader:
    def __init__(self, workspace, schema):
        self.workspace, self.schema = workspace, schema

    def online(self, user_ids):
        return [FeatureRow(user_id=user_id, present=user_id != "stranger") for user_id in user_ids]


@pytest.fixture
def load(workspace, train, monkeypatch):
    """Promotes one version and loads it as an MLflow user would."""
    items = pl.DataFrame({"item_id": ["1", "20", "Amélie"], "name": ["One", "Twenty", None]})
    schema = Catalogue.load(_with_files(workspace)).schema
    Catalogue(pl.DataFrame({"user_id": ["7"]}), items, schema).save(workspace)
    monkeypatch.setitem(sys.modules, "recsys.registry.loading", SimpleNamespace(load_recommender=FakeRecommender))
    monkeypatch.setattr("recsys.context.reader.FeastReader", FakeReader)
    train()
    promote(workspace, by="ada")

    def load_model(uri: str = "models:/recsys-tiny@champion"):
        import mlflow

        before = mlflow.get_tracking_uri()
        mlflow.set_tracking_uri(tracking_uri(workspace))
        try:
            return mlflow.pyfunc.load_model(uri)
        finally:
            mlflow.set_tracking_uri(before)

    return load_model


def _with_files(workspace):
    from recsys.data.schema import WorkspaceSchema

    Catalogue.empty(WorkspaceSchema.load(workspace.schema_file)).save(workspace)
    return workspace


def test_the_champion_ranks_items_for_users(load):
    frame = load().predict(pd.DataFrame({"user_id": ["7", "stranger"], "k": [2, 1]}))
    assert frame.to_dict("records") == [
        {"user_id": "7", "rank": 1, "item_id": "1", "title": "One", "score": 1.0, "model_version": "1"},
        {"user_id": "7", "rank": 2, "item_id": "20", "title": "Twenty", "score": 0.0, "model_version": "1"},
        {"user_id": "stranger", "rank": 1, "item_id": "Amélie", "title": "Amélie", "score": 1.0, "model_version": "1"},
    ]


def test_k_is_optional(load):
    assert load().predict(pd.DataFrame({"user_id": ["7"]}))["item_id"].tolist() == ["1", "20", "Amélie"]


def test_no_users_give_an_empty_frame_of_the_same_columns(load):
    model = load()
    empty = model.predict(pd.DataFrame({"user_id": pd.Series([], dtype=str)}))
    assert len(empty) == 0
    assert list(empty.columns) == [column.name for column in model.metadata.signature.outputs]


def test_the_signature_and_the_example_fit_the_model(load):
    model = load()
    assert [(column.name, column.required) for column in model.metadata.signature.inputs] == [
        ("user_id", True),
        ("k", False),
    ]
    assert len(model.predict(model.input_example)) == 2 * 3


@pytest.mark.parametrize("frame", [{"user": ["7"]}, {"user_id": ["7"], "k": ["many"]}, {"user_id": [7]}])
def test_a_frame_that_does_not_fit_the_signature_is_refused(load, frame):
    from mlflow.exceptions import MlflowException

    with pytest.raises(MlflowException, match="schema"):
        load().predict(pd.DataFrame(frame))


def test_k_must_be_positive(load):
    with pytest.raises(Exception, match="k must be at least 1, not 0"):
        load().predict(pd.DataFrame({"user_id": ["7"], "k": [0]}))


def test_the_alias_and_the_version_name_the_same_model(load):
    frame = pd.DataFrame({"user_id": ["7"]})
    pd.testing.assert_frame_equal(load().predict(frame), load("models:/recsys-tiny/1").predict(frame))


def test_a_damaged_snapshot_is_refused_by_name(load, workspace):
    path = champion(workspace).folder / "weights.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(Exception, match=r"weights\.safetensors has changed"):
        load()


def test_a_snapshot_the_registry_does_not_know_is_refused(load, workspace, make_snapshot, tmp_path):
    artifact = champion(workspace).folder
    shutil.rmtree(artifact)
    shutil.copytree(make_snapshot(tmp_path / "evil", seed=66).folder, artifact)
    with pytest.raises(Exception, match="only models that this registry vouches for"):
        load()


def test_a_moved_home_is_found_through_the_environment(load, workspace, tmp_path, monkeypatch):
    with registry(workspace) as client:
        uri = client.get_model_version_download_uri(workspace.registered_model, "1")
    shutil.copytree(workspace.home, tmp_path / "moved")
    (workspace.root / "workspace.toml").unlink()
    monkeypatch.setenv("RECSYS_HOME", str(tmp_path / "moved"))
    assert len(load(uri).predict(pd.DataFrame({"user_id": ["7"]}))) == 3
