"""What a trained version says of itself, how it is chosen, and when it is refused."""

import copy
import re
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from recsys.context.batch import FeatureRow
from recsys.errors import ConfigError, SnapshotError
from recsys.evaluation.calibrating import CALIBRATED_ON
from recsys.model import statistics
from recsys.registry.card import model_card
from recsys.registry.chosen import chosen_version
from recsys.registry.lineage import code_commit, code_hash, lineage
from recsys.registry.loading import load_recommender
from recsys.registry.snapshot import Snapshot, load_snapshot
from recsys.registry.tracking import log_run
from recsys.training.dataset import Dataset
from recsys.workspace import Workspace

pytestmark = pytest.mark.slow


@pytest.fixture
def snapshot(trained_films) -> Snapshot:
    return load_snapshot(Path(trained_films[1].snapshot))


def test_a_recommender_carries_the_snapshots_vocabulary_schema_and_version(snapshot):
    recommender = load_recommender(snapshot, "12")
    assert recommender.version == "12"
    assert recommender.vocabulary == snapshot.vocabulary
    assert recommender.schema == snapshot.schema
    assert recommender.encoder.history_length == snapshot.config["training"]["history_length"]
    assert recommender.encoder.profile.to_dict() == snapshot.profile


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"vocabulary": ("i00",)}, "scores 25 items and names 1"),
        ({"config": {}}, "another version of this library"),
        ({"config": {"model": {"clock": True}, "training": {}}}, "another version of this library"),
        ({"calibration": {}}, "another version of this library"),
        ({"calibration": {"predicted": 1, "observed": 2}}, "another version of this library"),
        ({"tensors": {}}, "do not fit its config"),
    ],
)
def test_parts_that_do_not_fit_together_are_refused(snapshot, changed, told):
    with pytest.raises(SnapshotError, match=told):
        load_recommender(replace(snapshot, **changed), "1")


def test_heads_that_read_other_statistics_than_this_version_gives_are_refused(snapshot, monkeypatch):
    monkeypatch.setattr(statistics, "coherence", lambda history, _: history.new_zeros(len(history), 2).float())
    with pytest.raises(SnapshotError, match="heads read .* statistics .* Train again"):
        load_recommender(snapshot, "1")


def test_where_its_catalogue_counts_as_large_it_is_searched_with_the_index_it_holds_or_a_built_one(snapshot):
    config = copy.deepcopy(dict(snapshot.config))
    config["model"]["head"] |= {"panel_above": 0, "panel": 5}
    config["training"]["retrieval"] = {"exact_items": 0}
    built = load_recommender(replace(snapshot, config=config), "1")
    assert built.large is not None
    held = replace(snapshot, config=config, tensors={**snapshot.tensors, **built.large.tensors()})
    row = FeatureRow("somebody", snapshot.vocabulary[:1], (1,), (1.0,), event_count=1)
    lists = [own.recommend([row], k=5) for own in (built, load_recommender(held, "1"))]
    assert lists[0] == lists[1]
    assert len(lists[0][0].item_ids) == 5
    damaged = {**held.tensors, "index.codes": held.tensors["index.codes"][1:]}
    with pytest.raises(SnapshotError, match="index.codes"):
        load_recommender(replace(held, tensors=damaged), "1")


def test_it_says_on_which_data_code_and_features_it_was_trained(trained_films, snapshot):
    workspace, _ = trained_films
    now = lineage(Dataset.load(workspace))
    assert {*now, CALIBRATED_ON} == snapshot.lineage.keys()
    for name in ("workspace", "data_fingerprint", "log_position", "feature_schema_hash", "feature_service"):
        assert snapshot.lineage[name] == now[name], name
    assert snapshot.lineage["log_position"] == 320
    assert len(code_hash()) == 64
    assert code_hash() == code_hash()


def test_outside_a_checkout_the_commit_is_unknown(monkeypatch, tmp_path):
    monkeypatch.setattr("recsys.registry.lineage.__file__", str(tmp_path / "a" / "b" / "lineage.py"))
    assert code_commit() == "unknown"


def test_a_commit_is_dirty_where_code_differs_and_not_where_results_do(monkeypatch, tmp_path):
    code, results = tmp_path / "recsys" / "registry" / "lineage.py", tmp_path / "benchmarks" / "results" / "a.json"
    for file in (code, results):
        file.parent.mkdir(parents=True)
        file.write_text("1")
    identity = ("-c", "user.name=a", "-c", "user.email=a@b.c")
    for command in (("init", "-q"), ("add", "."), (*identity, "commit", "-qm", "first")):
        subprocess.run(["git", "-C", str(tmp_path), *command], check=True)
    monkeypatch.setattr("recsys.registry.lineage.__file__", str(code))
    commit = code_commit()
    assert re.fullmatch("[0-9a-f]{12}", commit)
    results.write_text("2")
    assert code_commit() == commit
    code.write_text("2")
    assert code_commit() == f"{commit}-dirty"


def test_its_card_holds_the_figures_and_the_limits(trained_films, quick_config, snapshot):
    workspace, result = trained_films
    written = (Path(result.snapshot) / "MODEL_CARD.md").read_text()
    card = model_card(Dataset.load(workspace), quick_config(), result.counts, result.metrics, snapshot.lineage)
    assert sorted(written.splitlines()) == sorted(card.splitlines())
    own = result.metrics["validation"]
    assert f"| validation | {own['ndcg@10']:.4f} | {own['hr@10']:.4f} |" in card
    assert "240 events of 40 users over 25 items" in card
    assert "## Limits" in card


def test_the_version_asked_for_comes_before_the_champion_and_the_champion_before_the_latest(films, snapshot):
    log_run(films, snapshot=snapshot, params={}, metrics=snapshot.metrics)
    assert chosen_version(films, None).version == "1"
    assert chosen_version(films, "2").version == "2"
    with pytest.raises(ConfigError, match="There is no version '3'.*there are: 1, 2"):
        chosen_version(films, "3")


def test_without_a_champion_the_latest_is_chosen_and_without_a_version_nothing(films, snapshot):
    other = Workspace("other", films.home)
    with pytest.raises(ConfigError, match="recsys train"):
        chosen_version(other, None)
    for _ in range(2):
        log_run(other, snapshot=snapshot, params={}, metrics=snapshot.metrics)
    assert chosen_version(other, None).version == "2"
    with pytest.raises(ConfigError):
        chosen_version(Workspace("elsewhere", films.home / "nowhere"), "1")
