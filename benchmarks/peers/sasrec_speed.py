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
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pytorch_lightning import Trainer
from pytorch_lightning.callbacks import Callback
from sasrec import endless_trainer, trained_by


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
    """A trainer that measures."""
    return endless_trainer(Rate(warm_up, seconds), precision=precision)


def main(folder: Path) -> None:
    """Trains until it was timed for long enough."""
    settings = json.loads((folder / "settings.json").read_text())
    model = trained_by(folder, trainer_of, {name: settings[name] for name in ("warm_up", "seconds", "precision")})
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
