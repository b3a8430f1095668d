"""The real training on Ray: two workers on disjoint shards, the same twice, and nothing left behind by a failure."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from recsys.cluster import ray_cluster
from recsys.errors import ConfigError, TrainingError
from recsys.experts.body import BodyConfig
from recsys.jobs.ingest import ingest_folder
from recsys.jobs.train import train
from recsys.registry.champion import champion
from recsys.registry.promotion import promote
from recsys.registry.snapshot import load_snapshot
from recsys.registry.versions import version_numbers
from recsys.training.attributes import ItemAttributes
from recsys.training.body_model import BodyTrainingConfig
from recsys.training.config import load_config
from recsys.training.distributed import fit_body_distributed
from recsys.workspace import Workspace

pytestmark = pytest.mark.slow

USERS, ITEMS, EVENTS = 60, 40, 10
SETTINGS = (
    "workers=2",
    "body.width=16",
    "body.heads=1",
    "body.layers=1",
    "body.length=10",
    "body_training.epochs=12",
    "body_training.learning_rate=1e-2",
    "body_training.batch_events=80",
    "memories.memory.ridges=[5.0, 5.0]",
    "generator.epochs=3",
    "generator.held_out_users=0.2",
)


@pytest.fixture(scope="module", autouse=True)
def ray():
    """One Ray for all runs of this module."""
    with ray_cluster():
        yield


@pytest.fixture(scope="module")
def workspace(tmp_path_factory) -> Workspace:
    """Users walk through neighbouring items, so that order tells the next one."""
    rng = np.random.default_rng(11)
    walked = (rng.integers(0, ITEMS, USERS)[:, None] + np.arange(EVENTS)) % ITEMS
    data = tmp_path_factory.mktemp("walks")
    pl.DataFrame(
        {
            "user_id": [f"u{user}" for user in range(USERS) for _ in range(EVENTS)],
            "item_id": [f"i{item}" for item in walked.ravel()],
            "position": list(range(EVENTS)) * USERS,
        }
    ).write_parquet(data / "events.parquet")
    pl.DataFrame(
        {"item_id": [f"i{item}" for item in range(ITEMS)], "stretch": [f"s{item // 5}" for item in range(ITEMS)]}
    ).write_parquet(data / "items.parquet")
    made = Workspace("walks", tmp_path_factory.mktemp("home"))
    ingest_folder(made, data)
    return made


@pytest.fixture(scope="module")
def told() -> dict[str, list[str]]:
    """What the first run told of each stage."""
    return {}


class Told:
    """Progress that keeps every note."""

    def __init__(self, told: dict[str, list[str]], notes: list[str] | None = None) -> None:
        self.told, self.notes = told, notes if notes is not None else []

    def stage(self, name: str, steps: int) -> Told:
        return Told(self.told, self.told.setdefault(name, []))

    def advance(self, note: str = "") -> None:
        self.notes.append(note)


@pytest.fixture(scope="module")
def runs(workspace, told):
    """Two runs with one seed, the first promoted before the second."""
    first = train(workspace, load_config(overrides=SETTINGS), progress=Told(told))
    promote(workspace, by="test")
    return first, train(workspace, load_config(overrides=SETTINGS))


def versions(workspace: Workspace) -> list[int]:
    from recsys.registry.client import registry

    with registry(workspace) as client:
        return version_numbers(client, workspace)


def test_the_same_seed_and_data_give_the_same_model_and_the_same_figures(runs):
    first, second = runs
    assert first.content_hash == second.content_hash
    assert first.metrics == second.metrics
    assert (first.model_version, second.model_version) == ("1", "2")
    assert first.run_id != second.run_id


def test_the_body_learns_what_comes_next_from_users_it_never_saw(runs):
    metrics = runs[0].metrics
    assert metrics["validation_body"]["ndcg@10"] > 2 * metrics["validation_popularity"]["ndcg@10"]
    assert metrics["validation"]["ndcg@10"] > 2 * metrics["validation_popularity"]["ndcg@10"]


def test_what_was_gathered_from_both_workers_is_whole(runs):
    tensors = load_snapshot(Path(runs[0].snapshot)).tensors
    items = tensors["body.items"]
    assert items.shape == (ITEMS + 1, 16)
    assert not items[0].any()
    assert (items[1:].norm(dim=1) > 0).all()
    assert torch.isfinite(items).all()


def test_a_loss_that_is_not_a_number_registers_nothing_and_leaves_the_champion(workspace, runs):
    snapshots = sorted(workspace.snapshots.iterdir())
    diverging = load_config(overrides=[*SETTINGS, "body_training.table_learning_rate=inf"])
    with pytest.raises(TrainingError, match=r"loss is not finite in epoch 1.*[Nn]othing was registered"):
        train(workspace, diverging)
    assert versions(workspace) == [1, 2]
    assert champion(workspace).version == "1"
    assert sorted(workspace.snapshots.iterdir()) == snapshots


def test_each_epoch_was_told_as_it_ended(runs, told):
    [body] = [notes for name, notes in told.items() if name == "body on Ray Train (2 workers)"]
    assert len(body) == 12
    losses = [float(note.removeprefix("loss ")) for note in body]
    assert losses[-1] < losses[0]


def test_more_workers_than_the_machine_has_room_for_are_refused():
    with pytest.raises(ConfigError, match=r"workers is 500, and this machine has \d+ CPUs"):
        fit_body_distributed(
            pl.DataFrame({"items": [[1, 2]] * 500, "times": [[0, 1]] * 500}),
            attributes=ItemAttributes.none(3),
            body=BodyConfig(width=8, heads=1, layers=1, length=4),
            config=BodyTrainingConfig(epochs=1),
            workers=500,
            seed=1,
            on_epoch=lambda *_: None,
        )
