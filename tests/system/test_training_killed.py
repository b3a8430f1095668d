"""Ray's workers, its tasks and the driver are killed for real, and what comes of it is what would have come anyway."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from recsys.cluster import ray_cluster
from recsys.context.sequences import Sequences
from recsys.experts.body import BodyConfig
from recsys.experts.long_term import LongTermConfig, fit_long_term_memory
from recsys.experts.memory import MemoryConfig
from recsys.experts.refresh import MemoryCounts
from recsys.failpoints import FUSE_VARIABLE, VARIABLE, Failpoint
from recsys.training.attributes import ItemAttributes
from recsys.training.body_files import BodyFiles
from recsys.training.body_model import BodyTrainingConfig
from recsys.training.counted_in_shards import counted_in_shards, fit_long_term_memory_in_shards
from recsys.training.distributed import BodyRun, fit_body_distributed

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
ITEMS, USERS, EVENTS, EPOCHS = 40, 60, 9, 5
DESCRIBED = ItemAttributes(
    offsets=np.array([0, *range(ITEMS + 1)]),
    values=np.arange(ITEMS) // 5,
    names=tuple(f"stretch={n}" for n in range(8)),
)
SECONDS = 240
_DRIVER = """
import sys
from pathlib import Path
from tests.system.test_training_killed import fit
fit(Path(sys.argv[1]))
"""


def fit(kept: Path | None = None, workers: int = 2, told: list[int] | None = None) -> BodyRun:
    """A small body with a checkpoint after every step."""
    walked = (np.random.default_rng(1).integers(0, ITEMS, USERS)[:, None] + np.arange(EVENTS)) % ITEMS + 1
    times = np.broadcast_to(np.arange(EVENTS), walked.shape)
    return fit_body_distributed(
        pl.DataFrame({"items": walked.tolist(), "times": times.tolist()}),
        attributes=DESCRIBED,
        body=BodyConfig(width=16, heads=1, layers=1, length=8),
        config=BodyTrainingConfig(
            epochs=EPOCHS, batch_events=90, negatives=32, precision="float32", checkpoint_minutes=0.0
        ),
        workers=workers,
        seed=3,
        on_epoch=lambda epoch, _: None if told is None else told.append(epoch),
        kept=kept,
    )


def same(one: BodyRun, other: BodyRun) -> bool:
    weights, others = one.expert.encoder.state_dict(), other.expert.encoder.state_dict()
    return torch.equal(one.expert.items, other.expert.items) and all(
        torch.equal(weights[name], others[name]) for name in weights
    )


@pytest.fixture(scope="module")
def fuse(tmp_path_factory) -> Path:
    """Empty: nobody dies. With files in it as many arrivals are survived but the last."""
    return tmp_path_factory.mktemp("fuse")


@pytest.fixture(scope="module", autouse=True)
def ray(fuse):
    """One Ray for all fits of this module, whose workers may die at a half-written checkpoint."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(VARIABLE, Failpoint.TRAIN_CHECKPOINT_PART_WRITTEN)
        patch.setenv(FUSE_VARIABLE, str(fuse))
        with ray_cluster():
            yield


@pytest.fixture(scope="module")
def whole() -> BodyRun:
    return fit()


def test_a_worker_that_dies_while_it_writes_a_checkpoint_costs_nothing_of_the_result(whole, fuse):
    for number in range(2 * 20 + 1):
        (fuse / str(number)).touch()
    told: list[int] = []
    killed = fit(told=told)
    assert not any(fuse.iterdir()), "nobody came by"
    assert same(killed, whole)
    assert killed.losses == whole.losses
    assert told == list(range(1, EPOCHS + 1))


def test_a_driver_that_dies_takes_its_workers_along_and_another_one_goes_on(whole, tmp_path):
    environment = {name: value for name, value in os.environ.items() if name not in (VARIABLE, FUSE_VARIABLE)}
    driver = subprocess.Popen(
        [sys.executable, "-c", _DRIVER, str(tmp_path)],
        cwd=ROOT,
        env=environment | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    files, deadline = BodyFiles(tmp_path), time.monotonic() + SECONDS
    while len(files.losses.read()) < 2:
        assert driver.poll() is None, "it ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.02)
    driver.send_signal(signal.SIGKILL)
    driver.wait()
    assert files.given() is None, "it was done before it was killed"
    told: list[int] = []
    assert same(fit(tmp_path, told=told), whole)
    assert told == list(range(1, EPOCHS + 1))


@pytest.fixture(scope="module")
def sequences() -> Sequences:
    rng = np.random.default_rng(5)
    lengths = rng.integers(0, 30, 200)
    events = int(lengths.sum())
    return Sequences(
        user_ids=tuple(f"u{user:03d}" for user in range(200)),
        offsets=np.concatenate([[0], lengths.cumsum()]),
        items=rng.integers(1, ITEMS + 1, events),
        times=np.arange(events),
        values=rng.random(events).astype(np.float32),
    )


def test_counts_of_tasks_are_those_of_one_process(sequences):
    config = MemoryConfig()
    whole = MemoryCounts.of(sequences, ITEMS, config)
    found = counted_in_shards(sequences, 5, lambda own: MemoryCounts.of(own, ITEMS, config))
    torch.testing.assert_close(found.gram, whole.gram, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(found.cross, whole.cross, rtol=1e-5, atol=1e-5)
    assert found.histories == whole.histories
    settings = LongTermConfig(ridge=3.0)
    assert torch.equal(
        fit_long_term_memory_in_shards(sequences, ITEMS, settings, 4).weights,
        fit_long_term_memory(sequences, ITEMS, settings).weights,
    )


def test_a_task_whose_process_dies_is_counted_again(sequences, tmp_path):
    config, unused = MemoryConfig(), tmp_path / "unused"
    unused.touch()

    def count(own: Sequences) -> MemoryCounts:
        if unused.exists():
            unused.unlink(missing_ok=True)
            os.kill(os.getpid(), signal.SIGKILL)
        return MemoryCounts.of(own, ITEMS, config)

    found = counted_in_shards(sequences, 3, count)
    torch.testing.assert_close(found.gram, MemoryCounts.of(sequences, ITEMS, config).gram, rtol=1e-5, atol=1e-5)
    assert not unused.exists()
