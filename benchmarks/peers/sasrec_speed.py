"""Trains SASRec of RecTools on sequences that we wrote and says how many targets it trains on in a second.

It runs in the peers' own environment (benchmarks/peers/setup.sh) and knows nothing of `recsys`: parquet and JSON in
and out.

    python benchmarks/peers/sasrec_speed.py FOLDER

FOLDER holds `settings.json` and `fit.parquet` (user, item, position). It gets `speed.json`. Targets are the positions
whose next item is in the loss; time runs from the end of the last step that warms up to the end of the last step,
making batches included.
"""

from __future__ import annotations

import json
import logging
import sys
import time
import warnings
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from pytorch_lightning import Trainer, seed_everything
from pytorch_lightning.callbacks import Callback
from rectools.dataset import Dataset
from rectools.models import SASRecModel
from sasrec import interactions_of

MANY_EPOCHS = 10_000


class Rate(Callback):
    """Counts targets from the end of some first steps on, and stops after some seconds."""

    def __init__(self, warm_up: int, seconds: float) -> None:
        self.left, self.seconds = warm_up, seconds
        self.targets = self.steps = 0
        self.began = self.ended = 0.0

    def on_train_batch_end(self, trainer: Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        now = time.monotonic()
        if self.left:
            self.left -= 1
            self.began = self.ended = now
            return
        self.targets += int((batch["y"] > 0).sum())
        self.steps += 1
        self.ended = now
        trainer.should_stop = now - self.began >= self.seconds


def trainer_of(warm_up: int, seconds: float, precision: str) -> Trainer:
    """A trainer that measures and does nothing else beside training."""
    return Trainer(
        max_epochs=MANY_EPOCHS,
        min_epochs=0,
        precision=precision,
        callbacks=[Rate(warm_up, seconds)],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        accelerator="cpu",
        devices=1,
    )


def main(folder: Path) -> None:
    """Trains until it was timed for long enough."""
    warnings.filterwarnings("ignore")
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    settings = json.loads((folder / "settings.json").read_text())
    torch.set_num_threads(settings["threads"])
    seed_everything(settings["seed"], verbose=False)
    asked = {name: settings[name] for name in ("warm_up", "seconds", "precision")}
    model = SASRecModel(**settings["model"], get_trainer_func=trainer_of, get_trainer_func_kwargs=asked)
    model.fit(Dataset.construct(interactions_of(pd.read_parquet(folder / "fit.parquet"))))
    rate = next(callback for callback in model.fit_trainer.callbacks if isinstance(callback, Rate))
    found = {
        "targets": rate.targets,
        "seconds": rate.ended - rate.began,
        "steps": rate.steps,
        "items": len(model.data_preparator.get_known_item_ids()),
        "versions": {name: version(name) for name in ("rectools", "torch", "pytorch-lightning")},
    }
    (folder / "speed.json").write_text(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
