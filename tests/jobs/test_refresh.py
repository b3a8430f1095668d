"""Between trainings the closed-form experts follow the log; body and heads stay those of the champion."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
import typer
from typer.testing import CliRunner

from recsys.cli import refresh as commands
from recsys.data.canonical import EVENT_SCHEMA
from recsys.errors import ConfigError, DataError, RegistryError
from recsys.evaluation.workspace_protocol import training_sequences_of
from recsys.events.log import EventLog
from recsys.experts.refresh import MemoryCounts
from recsys.jobs.delete_users import delete_users
from recsys.jobs.materialise import materialise
from recsys.jobs.refresh import refresh
from recsys.registry.client import registry
from recsys.registry.locks import exclusive
from recsys.registry.promotion import champion, champion_version
from recsys.registry.snapshot import load_snapshot
from recsys.registry.versions import version_numbers
from recsys.training.config import TrainConfig
from recsys.training.dataset import Dataset
from recsys.training.experts import closed_form_fits
from recsys.training.kept_counts import KeptCounts
from recsys.workspace import Workspace

pytestmark = pytest.mark.slow

LATER = 1_700_000_000_000_000


@pytest.fixture
def shop(films):
    materialise(films)  # it is a copy, whose store still points to where it was copied from
    return films


def append(workspace, *events, start=0):
    rows = [(f"later-{start + n}", user, item, LATER + start + n, None, 1.0) for n, (user, item) in enumerate(events)]
    EventLog(workspace.event_log).append(pl.DataFrame(rows, schema=EVENT_SCHEMA, orient="row"))


def some(users, count, seed):
    rng = np.random.default_rng(seed)
    return [(f"u{user:02d}", f"i{item:02d}") for user in users for item in rng.permutation(25)[:count]]


def assert_follows(workspace, found):
    """Its closed-form experts are those of a full fit; the rest is the champion's."""
    made, present = load_snapshot(Path(found.trained.snapshot)), load_snapshot(champion(workspace).folder)
    config = TrainConfig.model_validate(made.config["training"])
    dataset = Dataset.load(workspace, vocabulary=present.vocabulary)
    fits = closed_form_fits(
        training_sequences_of(dataset), dataset.attributes, config, clock=dataset.schema.clock, repeats=False
    )
    assert set(fits) >= {"memory", "long_term", "popularity"}
    for name, fit in fits.items():
        for part, whole in fit().tensors().items():
            assert torch.allclose(made.tensors[f"{name}.{part}"], whole, atol=1e-4), (name, part)
    stays = [name for name in present.tensors if name.split(".")[0] not in fits]
    assert any(name.startswith("body.") for name in stays)
    assert any(name.startswith("hypernetwork.") for name in stays)
    for name in stays:
        assert torch.equal(made.tensors[name], present.tensors[name]), name
    assert not torch.equal(made.tensors["memory.weights"], present.tensors["memory.weights"])
    assert made.vocabulary == present.vocabulary


def counted(monkeypatch):
    """What is counted whole from here on."""
    seen, of = [], MemoryCounts.of.__func__
    monkeypatch.setattr(
        MemoryCounts,
        "of",
        classmethod(lambda cls, sequences, *more: seen.append(sequences) or of(cls, sequences, *more)),
    )
    return seen


def test_the_first_counts_everything_and_the_next_only_what_changed(shop, monkeypatch):
    append(shop, *some(range(10), 3, seed=1), ("u03", "i-new"))
    first = refresh(shop)
    assert first.counted_whole
    assert_follows(shop, first)
    assert champion_version(shop) == first.champion == "1"
    assert first.trained.model_version == "2"
    lineage = load_snapshot(Path(first.trained.snapshot)).lineage
    assert (lineage["begun_from_version"], lineage["log_position"]) == ("1", EventLog(shop.event_log).position())

    append(shop, *some(range(5, 12), 2, seed=2), ("a-new-user", "i01"), ("a-new-user", "i02"), start=100)
    whole = counted(monkeypatch)
    second = refresh(shop)
    assert whole == []
    assert not second.counted_whole
    assert_follows(shop, second)


def test_what_was_deleted_is_counted_no_longer(shop):
    append(shop, *some(range(10), 3, seed=1))
    refresh(shop)
    assert KeptCounts(shop.counts).state() is not None
    delete_users(shop, ["u03"])
    assert not shop.counts.exists()
    found = refresh(shop)
    assert found.counted_whole
    assert_follows(shop, found)


def test_of_somebody_who_is_deleted_while_it_counts_nothing_is_kept_or_registered(shop, monkeypatch):
    append(shop, *some(range(10), 3, seed=1))
    of = MemoryCounts.of.__func__
    deleted = []

    def meanwhile(cls, sequences, *more):
        if not deleted:
            deleted.append(delete_users(shop, ["u03"]))
        return of(cls, sequences, *more)

    monkeypatch.setattr(MemoryCounts, "of", classmethod(meanwhile))
    with pytest.raises(DataError, match="while they were counted"):
        refresh(shop)
    assert not shop.counts.exists()
    with registry(shop) as client:
        assert version_numbers(client, shop) == [1]
    found = refresh(shop)
    assert_follows(shop, found)


def test_counts_of_other_events_or_of_a_run_that_was_cut_short_are_not_used(shop):
    append(shop, *some(range(10), 3, seed=1))
    refresh(shop)
    append(shop, *some(range(4), 2, seed=3), start=200)
    kept = KeptCounts(shop.counts)
    state = kept.state()
    kept.begin()
    assert refresh(shop).counted_whole
    kept.finish(type(state)(state.position, "of other events"), {"memory": 1, "short": 1, "long": 1, "long_term": 1})
    found = refresh(shop)
    assert found.counted_whole
    assert_follows(shop, found)


def test_without_a_champion_it_says_what_to_do(tmp_path):
    with pytest.raises(ConfigError, match="recsys train"):
        refresh(Workspace("nothing", tmp_path))


def test_the_second_of_two_at_once_is_told(shop):
    with (
        exclusive(shop.root / "refresh.lock", "refresh"),
        pytest.raises(RegistryError, match="Another refresh is under way"),
    ):
        refresh(shop)


def test_people_read_what_was_kept_and_what_to_do_next(shop):
    append(shop, *some(range(10), 3, seed=1))
    app = typer.Typer()
    commands.register(app)
    result = CliRunner().invoke(app, ["--workspace", "films"])
    assert result.exit_code == 0, result.output
    said = " ".join(result.output.split())
    assert "Registered version 2 of recsys-films" in said
    assert "body and heads of version 1, all events were counted" in said
    assert "recsys promote --workspace films" in said
