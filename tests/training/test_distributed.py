"""What is settled before and after Ray does the work."""

from contextlib import nullcontext

import polars as pl
import pytest
import torch

from recsys.cluster import ADDRESS_VARIABLE
from recsys.errors import DataError, TrainingError
from recsys.experts.body import BodyConfig, SequenceEncoder
from recsys.training import distributed, epoch_losses
from recsys.training.attributes import ItemAttributes
from recsys.training.body_model import BodyTrainingConfig
from recsys.training.epoch_losses import EpochLosses, LossWatcher

BODY = BodyConfig(width=8, heads=1, layers=1, length=4)
ITEMS = [[n, n + 1] for n in range(1, 6)]
WINDOWS = pl.DataFrame({"items": ITEMS, "times": [[10 * item for item in row] for row in ITEMS]})


@pytest.fixture
def workers(monkeypatch):
    """Stands in for Ray; gives what each fit's workers would have been told."""
    asked = []

    def run(files, workers, restarts):
        shards = [files.windows(rank, BODY.length) for rank in range(workers)]
        assert len(list(files.shards.iterdir())) == workers
        asked.append((workers, {**files.settings(), "attributes": files.attributes()}, shards))
        encoder = {f"encoder.{name}": value for name, value in SequenceEncoder(BODY).state_dict().items()}
        files.losses.write([2.5, 1.5])
        files.give({"items": torch.zeros(7, BODY.width), **encoder})

    monkeypatch.setattr(distributed, "_run", run)
    monkeypatch.setattr(distributed, "ray_cluster", nullcontext)
    return asked


def fit(windows, workers, attributes=None, on_epoch=lambda *_: None, kept=None):
    return distributed.fit_body_distributed(
        windows,
        attributes=attributes or ItemAttributes.none(6),
        body=BODY,
        config=BodyTrainingConfig(epochs=2),
        workers=workers,
        seed=1,
        on_epoch=on_epoch,
        kept=kept,
    )


def test_each_worker_gets_a_shard_of_its_own(workers):
    found = fit(WINDOWS, 2)
    [(count, settings, shards)] = workers
    assert count == 2
    assert settings["total_events"] == 10
    assert sorted(row[0] for shard in shards for row in shard.items.tolist()) == [1, 2, 3, 4, 5]
    assert all(torch.equal(shard.times, 10 * shard.items) for shard in shards)
    assert found.losses == (2.5, 1.5)
    assert found.expert.items.shape == (7, BODY.width)


@pytest.mark.parametrize("described", [([0, 2], [], [1], [2], [0], [1]), ([],) * 6])
def test_workers_are_told_what_items_are(workers, make_attributes, described):
    attributes = make_attributes(*described)
    fit(WINDOWS, 2, attributes)
    [(_, settings, _)] = workers
    read = settings["attributes"]
    assert read.offsets.tolist() == attributes.offsets.tolist()
    assert read.values.tolist() == attributes.values.tolist()
    assert read.names == attributes.names


@pytest.mark.parametrize(("windows", "asked_for", "expected"), [(1, 2, 1), (5, 9, 5), (5, 5, 5), (5, 3, 3)])
def test_no_worker_is_without_a_window(workers, windows, asked_for, expected):
    fit(WINDOWS[:windows], asked_for)
    [(count, _, shards)] = workers
    assert count == expected
    assert all(len(shard) for shard in shards)


def test_without_a_window_no_worker_is_started(workers):
    with pytest.raises(DataError, match="No user has two events"):
        fit(WINDOWS.clear(), 2)
    assert workers == []


def test_the_cause_is_told_in_its_own_last_line():
    error = RuntimeError("Ray says a lot")
    error.__cause__ = ValueError("Traceback (most recent call last):\n  somewhere\nValueError: out of memory")
    assert distributed._root_cause(error) == "ValueError: out of memory"
    assert distributed._root_cause(KeyError()) == "KeyError"


def test_an_epoch_that_is_done_again_is_told_once(tmp_path, monkeypatch):
    monkeypatch.setattr(epoch_losses, "_POLL_SECONDS", 60)
    losses, told = EpochLosses(tmp_path / "losses.json"), []
    watcher = LossWatcher(losses, lambda epoch, loss: told.append((epoch, loss)))
    with watcher:
        watcher._tell()
        losses.write([2.0, 1.5])
        watcher._tell()
        losses.write([2.0])
        watcher._tell()
        losses.write([2.0, 1.5, 1.0])
    assert told == [(1, 2.0), (2, 1.5), (3, 1.0)]


def test_a_body_that_was_given_is_not_fitted_again(workers, tmp_path):
    told = []
    first = fit(WINDOWS, 2, kept=tmp_path)
    again = fit(WINDOWS, 1, kept=tmp_path, on_epoch=lambda *epoch: told.append(epoch))
    assert len(workers) == 1
    assert torch.equal(first.expert.items, again.expert.items)
    assert again.losses == first.losses
    assert told == [(1, 2.5), (2, 1.5)]


def test_nothing_of_users_is_left_of_a_fit_that_is_done(workers, tmp_path):
    fit(WINDOWS, 2, kept=tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["body.safetensors", "losses.json"]


def test_another_number_of_workers_is_handed_other_shards(workers, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(distributed, "_run", lost)
        with pytest.raises(TrainingError):
            fit(WINDOWS, 3, kept=tmp_path)
    fit(WINDOWS, 2, kept=tmp_path)
    [(count, _, shards)] = workers
    assert count == 2
    assert sorted(row[0] for shard in shards for row in shard.items.tolist()) == [1, 2, 3, 4, 5]


def lost(files, workers, restarts):
    raise TrainingError("every worker was lost")


@pytest.mark.parametrize(
    ("joined", "own", "cluster", "expected"),
    [
        (False, False, 0, False),
        (False, True, 1, True),
        (True, False, 4, True),
        (True, False, 3, True),
        (True, True, 2, False),
        (True, True, 0, False),
    ],
)
def test_workers_get_gpus_where_this_machine_has_them_or_the_joined_cluster_has_one_for_each(
    monkeypatch, joined, own, cluster, expected
):
    monkeypatch.delenv(ADDRESS_VARIABLE, raising=False)
    if joined:
        monkeypatch.setenv(ADDRESS_VARIABLE, "127.0.0.1:1")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: own)
    monkeypatch.setattr(
        "ray.cluster_resources", lambda: {"CPU": 4.0, "GPU": float(cluster)} if cluster else {"CPU": 4.0}
    )
    assert distributed.workers_have_gpus(3) is expected
