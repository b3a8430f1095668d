"""Measures two Ray workers beside one: the body's training as it is shipped, a thread a worker, the same global batch.

    .venv/bin/python benchmarks/workers.py --data DIR      # DIR holds events.parquet

Two workers have disjoint windows and row-sharded tables; one has whole tables. Targets are those that the workers train
on, windows counted as often as they are taken: a worker with less to do repeats some. The batch is the shipped one,
which the bar is for, and larger ones, in whose steps waiting for one another weighs less. Results are committed
(benchmarks/results/workers.json), beside what the machine gives to two processes of pure arithmetic: no two workers can
gain more. Give it a machine that does nothing else.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
os.environ["OMP_NUM_THREADS"] = "1"  # read when torch is first loaded, and handed on to workers

import polars as pl  # noqa: E402

from benchmarks.speed.control import KINDS, gained  # noqa: E402
from benchmarks.speed.data import sample, targets_of, workspace_of  # noqa: E402
from benchmarks.speed.trained import targets_trained  # noqa: E402
from benchmarks.units.arguments import numbers, parsed  # noqa: E402
from benchmarks.units.files import stamp, write_json  # noqa: E402
from recsys.cluster import ray_cluster  # noqa: E402
from recsys.evaluation.workspace_protocol import training_sequences_of  # noqa: E402
from recsys.experts.body import BodyConfig  # noqa: E402
from recsys.training.attributes import ItemAttributes  # noqa: E402
from recsys.training.body_model import BodyTrainingConfig  # noqa: E402
from recsys.training.config import load_config  # noqa: E402
from recsys.training.dataset import Dataset  # noqa: E402
from recsys.training.distributed import fit_body_distributed  # noqa: E402
from recsys.training.windows import body_windows  # noqa: E402

RESULTS = ROOT / "benchmarks" / "results" / "workers.json"
BAR = 1.5
WORKERS = (1, 2)


def main() -> None:
    """Measures and writes the result."""
    asked = _arguments()
    dataset = Dataset.load(workspace_of(asked.data, asked.work.absolute()))
    sequences = sample(training_sequences_of(dataset), asked.users, seed=0)
    config = load_config()
    body = config.body.model_copy(update={"clock": dataset.schema.clock, "baskets": sequences.baskets})
    windows = body_windows(sequences, body.length)
    shipped = config.body_training.batch_events
    control = {kind: gained(kind, 2, asked.control_seconds, asked.rounds) for kind in KINDS}
    print(f"two processes beside one: {control}", flush=True)
    by_batch = {}
    with ray_cluster():
        for times in asked.times_batch:
            update = {"batch_events": times * shipped, "epochs": asked.epochs + 1, "checkpoint_minutes": 60.0}
            training = config.body_training.model_copy(update=update)
            by_batch[times * shipped] = _compared(
                windows, dataset.attributes, body, training, config.seed, asked.rounds
            )
    if shipped in by_batch:
        by_batch[shipped] |= {"bar": BAR, "met": by_batch[shipped]["times"] >= BAR}
    write_json(
        asked.out,
        {
            **stamp("workers.py", asked.load),
            "users": len(sequences),
            "clock": body.clock,
            "epochs_timed": asked.epochs,
            "targets_of_everybody": targets_of(sequences),
            "tables": {"1": "whole", "2": "row-sharded"},
            "control": control,
            "by_batch_events": {str(events): found for events, found in by_batch.items()},
        },
    )


def _compared(
    windows: pl.DataFrame,
    attributes: ItemAttributes,
    body: BodyConfig,
    training: BodyTrainingConfig,
    seed: int,
    rounds: int,
) -> dict[str, Any]:
    """Targets a second of one worker and of two, in rounds that take turns."""
    targets = {workers: targets_trained(windows, workers, training, seed) for workers in WORKERS}
    rates: dict[int, list[float]] = {workers: [] for workers in WORKERS}
    for number in range(rounds):
        for workers in WORKERS if number % 2 == 0 else reversed(WORKERS):
            taken = _seconds(windows, attributes, body, training, workers, seed)
            rates[workers].append(round(sum(targets[workers][1:]) / taken, 1))
            print(
                f"{training.batch_events} events a step, {workers} workers: {rates[workers][-1]:,.0f} targets a second",
                flush=True,
            )
    times = median(rates[2]) / median(rates[1])
    print(f"{training.batch_events} events a step: {times:.2f} times one worker's", flush=True)
    return {
        "targets_trained_each_epoch": {str(workers): own for workers, own in targets.items()},
        "targets_per_second": {str(workers): median(own) for workers, own in rates.items()},
        "rounds": {str(workers): own for workers, own in rates.items()},
        "times": round(times, 3),
    }


def _seconds(
    windows: pl.DataFrame,
    attributes: ItemAttributes,
    body: BodyConfig,
    training: BodyTrainingConfig,
    workers: int,
    seed: int,
) -> float:
    """Seconds of all epochs after the first, which warms up; epochs are heard of every third of a second."""
    ends: list[float] = []
    fit_body_distributed(
        windows,
        attributes=attributes,
        body=body,
        config=training,
        workers=workers,
        seed=seed,
        on_epoch=lambda *_: ends.append(time.monotonic()),
    )
    return ends[-1] - ends[0]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="a folder that `recsys data import` takes")
    parser.add_argument("--users", type=int, default=1_500, help="drawn at random; 0: all")
    parser.add_argument("--epochs", type=int, default=2, help="timed of a fit, after one that warms up")
    parser.add_argument("--times-batch", type=numbers, default=(1, 4), help="the shipped batch, so many times")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--control-seconds", type=float, default=10.0)
    parser.add_argument("--work", type=Path, default=ROOT / "build" / "speed")
    return parsed(parser, RESULTS)


if __name__ == "__main__":
    main()
