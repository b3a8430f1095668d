"""A training begins from an earlier version only where that has seen no target; a retraining begins in any case."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from pipelines.retrain import retrain
from pipelines.retrain_plan import Request
from recsys.data.schema import EventMeaning, WorkspaceSchema
from recsys.errors import ConfigError
from recsys.events.removals import Removals
from recsys.jobs.materialise import materialise
from recsys.jobs.refresh import refresh
from recsys.jobs.train import train
from recsys.registry.champion import load_champion
from recsys.registry.client import registry
from recsys.registry.versions import read_version

pytestmark = pytest.mark.slow


@pytest.fixture
def shop(films):
    materialise(films)  # it is a copy, whose store still points to where it was copied from
    return films


def test_where_events_mean_something_else_by_now(shop, quick_config):
    schema = WorkspaceSchema.load(shop.schema_file)
    replace(schema, events=EventMeaning(min_value=0.5)).save(shop.schema_file)
    with pytest.raises(ConfigError, match="the schema says something else of events"):
        train(shop, quick_config(), begin_from="1")


def test_a_pruning_between_a_body_and_its_refresh_is_not_forgotten(shop, quick_config):
    beginners = quick_config("generator.beginners=0.2")
    position = load_champion(shop).lineage["log_position"]
    Removals(shop.event_log).prune(before=1_600_000_000_000_000 + 60_000_000, keep_last=0)
    refreshed = refresh(shop).trained
    with registry(shop) as client:
        lineage = read_version(client, shop, refreshed.model_version).labels
    assert int(lineage["log_position"]) > int(lineage["body_log_position"]) == position
    with pytest.raises(ConfigError, match="beginnings"):
        train(shop, beginners, begin_from=refreshed.model_version)


@pytest.fixture
def damaged(shop):
    """The same with a champion that nobody can load; MLflow's folder is that of the workspace it is a copy of."""
    with registry(shop) as client:
        found = read_version(client, shop, "1")
    weights = [Path(folder, "weights.safetensors") for folder in (found.artifact, found.local(shop))]
    whole = [path.read_bytes() for path in weights]
    for path in weights:
        path.write_bytes(b"other weights")
    yield shop
    for path, content in zip(weights, whole, strict=True):
        path.write_bytes(content)


def test_a_retraining_whose_champion_is_damaged_begins_from_nothing_and_says_so(damaged, quick_body):
    shop = damaged
    quick = ("body.width=8", "body.heads=1", "body.layers=1", "body.length=10", "generator.epochs=2")
    outputs = retrain(Request(workspace=shop, overrides=quick), Console(quiet=True))
    assert "version 2 registered, begun from nothing" in outputs["train"]["said"]
    assert "weights.safetensors" in outputs["train"]["said"]
