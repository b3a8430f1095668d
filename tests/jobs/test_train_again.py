"""A run is spared only while another one would come out the same."""

import json
import shutil

import polars as pl
import pytest

from recsys.errors import RegistryError
from recsys.jobs.ingest import ingest
from recsys.jobs.previous_training import PreviousTraining
from recsys.jobs.train import train
from recsys.training.dataset import Dataset

pytestmark = pytest.mark.slow


@pytest.fixture
def valid(films, quick_config):
    """Whether the run before would be reused now."""

    def ask(*settings: str, growth: float = 0.05) -> bool:
        return PreviousTraining.still_valid(films, quick_config(*settings), Dataset.load(films), growth) is not None

    return ask


def test_the_same_again_is_reused_and_says_so(films, quick_config, quick_body, trained_films):
    again = train(films, quick_config(), reuse_within=0.0)
    first = trained_films[1]
    assert (again.reused, again.new_events) == (True, 0)
    assert (again.model_version, again.run_id, again.metrics) == (first.model_version, first.run_id, first.metrics)
    assert quick_body == []


def test_a_few_new_events_are_within_what_was_allowed_and_counted(films, quick_config, imported_data, quick_body):
    ingest(films, imported_data(extra=[("u03", "i07", 50), ("new", "i01", 51)]))
    again = train(films, quick_config(), reuse_within=0.01)
    assert (again.reused, again.new_events) == (True, 2)
    assert train(films, quick_config(), reuse_within=0.001).reused is False
    assert len(quick_body) == 1


def test_without_leave_it_always_trains(films, quick_config, quick_body):
    assert train(films, quick_config()).model_version == "2"
    assert len(quick_body) == 1


def test_another_setting_is_another_model(valid):
    assert valid()
    assert not valid("seed=18")
    assert not valid("head.kind=film")


def test_another_profile_is_another_model(valid, films, imported_data):
    from dataclasses import replace

    changed = imported_data()
    ingest(films, replace(changed, users=changed.users.with_columns(age=pl.lit(99.0))))
    assert not valid()


def test_other_code_is_another_model(valid, monkeypatch):
    monkeypatch.setattr("recsys.jobs.previous_training.code_hash", lambda: "other")
    assert not valid()


def test_a_log_that_was_replaced_is_noticed_though_it_is_as_long(valid, films, imported_data):
    for part in films.event_log.parent.iterdir():
        part.unlink()
    ingest(films, imported_data(last=lambda user, item: "i00" if user == "u00" else item))
    assert not valid()
    assert not valid(growth=0.5)


def test_a_version_that_is_gone_or_damaged_is_made_anew(valid, films):
    [snapshot] = films.snapshots.iterdir()
    (snapshot / "weights.safetensors").write_bytes(b"damaged")
    assert valid(), "MLflow's copy is whole"
    shutil.rmtree(films.tracking_database.parent)
    assert not valid()


def test_a_registry_that_cannot_be_read_is_told_before_minutes_are_spent(valid, films):
    films.tracking_database.write_bytes(b"damaged")
    with pytest.raises(RegistryError, match="cannot be read"):
        valid()


@pytest.mark.parametrize("written", ["", "{", "[]", '{"config": {}}', json.dumps({"fingerprint": 1})])
def test_a_note_that_cannot_be_read_spares_nothing(valid, films, written):
    (films.root / "last-training.json").write_text(written)
    assert not valid()
