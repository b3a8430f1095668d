"""What is settled before and after Ray does the work."""

from contextlib import nullcontext
from pathlib import Path

import polars as pl
import pytest
import torch
from safetensors.torch import save_file

from recsys.errors import DataError
from recsys.experts.body import BodyConfig, SequenceEncoder
from recsys.training import distributed
from recsys.training.attributes import ItemAttributes
from recsys.training.body_model import BodyTrainingConfig
from recsys.training.windows import read_shard

BODY = BodyConfig(width=8, heads=1, layers=1, length=4)
ITEMS = [[n, n + 1] for n in range(1, 6)]
WINDOWS = pl.DataFrame({"items": ITEMS, "times": [[10 * item for item in row] for row in ITEMS]})


@pytest.fixture
def workers(monkeypatch):
    """Stands in for Ray; gives what each fit's workers would have been told."""
    asked = []

    def run(settings, workers, folder, on_epoch):
        shards = [read_shard(path, BODY.length) for path in settings["shards"]]
        attributes = distributed._read(Path(settings["attributes"]))
        asked.append((workers, {**settings, "attributes": attributes}, shards))
        encoder = {f"encoder.{name}": value for name, value in SequenceEncoder(BODY).state_dict().items()}
        save_file({"items": torch.zeros(7, BODY.width), **encoder}, folder / "body.safetensors")
        return (2.5, 1.5)

    monkeypatch.setattr(distributed, "_run", run)
    monkeypatch.setattr(distributed, "ray_cluster", nullcontext)
    return asked


def fit(windows, workers, attributes=None):
    return distributed.fit_body_distributed(
        windows,
        attributes=attributes or ItemAttributes.none(6),
        body=BODY,
        config=BodyTrainingConfig(epochs=2),
        workers=workers,
        seed=1,
        on_epoch=lambda *_: None,
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


def test_progress_is_read_to_the_end_though_the_last_line_is_being_written(tmp_path, monkeypatch):
    monkeypatch.setattr(distributed, "_POLL_SECONDS", 60)
    path, told = tmp_path / "progress.jsonl", []
    watcher = distributed._ProgressWatcher(path, lambda epoch, loss: told.append((epoch, loss)))
    with watcher:
        path.write_text('{"epoch": 1, "loss": 2.0}\n{"epoch": 2, "lo')
        watcher._drain()
        assert told == [(1, 2.0)]
        path.write_text('{"epoch": 1, "loss": 2.0}\n{"epoch": 2, "loss": 1.5}\n')
    assert told == [(1, 2.0), (2, 1.5)]
    assert watcher.losses == [2.0, 1.5]
