"""Trains SASRec of RecBole on sequences that we wrote and says how many targets it trains on in a second.

It runs in the peers' own environment (benchmarks/peers/setup.sh) and knows nothing of `recsys`: parquet and JSON in
and out.

    python benchmarks/peers/recbole_speed.py FOLDER

FOLDER holds `settings.json` and `fit.parquet` (user, item, position). It gets `speed.json`. RecBole makes a sequence of
every event but a user's first and trains on its last item alone: targets are sequences. RecBole's own training step
is timed, from the end of the last step that warms up on, making batches included.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from recbole.config import Config
from recbole.data import create_dataset, data_preparation
from recbole.model.sequential_recommender import SASRec
from recbole.trainer import Trainer

NAME = "fit"
FIELDS = {"user": "user_id:token", "item": "item_id:token", "position": "timestamp:float"}


class TimedBatches:
    """RecBole's batches again and again; an epoch of them ends when they were timed for long enough.

    A batch is asked for when the step on the one before it is over.
    """

    def __init__(self, batches: Any, warm_up: int, seconds: float) -> None:
        self._batches, self._warm_up, self._seconds = batches, warm_up, seconds
        self.shuffle = batches.shuffle
        self.targets = self.steps = 0
        self.began = self.ended = 0.0

    def __iter__(self) -> Iterator[Any]:
        done = 0
        while True:
            for batch in self._batches:
                yield batch
                now, done = time.monotonic(), done + 1
                if done <= self._warm_up:
                    self.began = now
                    continue
                self.ended, self.steps, self.targets = now, self.steps + 1, self.targets + len(batch)
                if now - self.began >= self._seconds:
                    return


def configuration(folder: Path, settings: dict[str, Any]) -> Config:
    """RecBole's configuration: training alone, on the CPU, quietly."""
    return Config(
        model="SASRec",
        dataset=NAME,
        config_dict={
            **settings["model"],
            "data_path": str(folder),
            "checkpoint_dir": str(folder / "recbole"),
            "USER_ID_FIELD": "user_id",
            "ITEM_ID_FIELD": "item_id",
            "TIME_FIELD": "timestamp",
            "load_col": {"inter": ["user_id", "item_id", "timestamp"]},
            "eval_args": {"split": {"LS": "valid_and_test"}, "group_by": "user", "order": "TO", "mode": "full"},
            "train_neg_sample_args": None,
            "use_gpu": False,
            "show_progress": False,
            "state": "ERROR",
            "seed": settings["seed"],
        },
    )


def main(folder: Path) -> None:
    """Trains until it was timed for long enough."""
    settings = json.loads((folder / "settings.json").read_text())
    sys.argv = sys.argv[:1]  # RecBole reads it too
    torch.set_num_threads(settings["threads"])
    torch.manual_seed(settings["seed"])
    (folder / NAME).mkdir(exist_ok=True)
    fit = pd.read_parquet(folder / "fit.parquet")[list(FIELDS)].rename(columns=FIELDS)
    fit.to_csv(folder / NAME / f"{NAME}.inter", sep="\t", index=False)
    os.chdir(folder)  # its logs lie where it runs
    config = configuration(folder, settings)
    train, _, _ = data_preparation(config, create_dataset(config))
    model = SASRec(config, train.dataset).to(config["device"])
    batches = TimedBatches(train, settings["warm_up"], settings["seconds"])
    Trainer(config, model)._train_epoch(batches, 0)
    found = {
        "targets": batches.targets,
        "seconds": batches.ended - batches.began,
        "steps": batches.steps,
        "items": int(model.n_items) - 1,
        "versions": {name: version(name) for name in ("recbole", "torch")},
    }
    (folder / "speed.json").write_text(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
