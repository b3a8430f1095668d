"""Trains SASRec of RecTools until its NDCG@10 reaches a target, and says in how many seconds of training.

It runs in the peers' own environment (benchmarks/peers/setup.sh) and knows nothing of `recsys`: parquet and JSON in
and out.

    python benchmarks/peers/sasrec_reaching.py FOLDER

FOLDER holds `settings.json`, `fit.parquet` (user, item, position, validation: nobody's) and `cases-validation.parquet`
(case, items, target). It gets `reached.json`, replaced after every epoch, and `ranks-validation.parquet` of the last
one. Every case is ranked after each epoch, by our tie rule; the clock stands still meanwhile.
"""

from __future__ import annotations

import json
import sys
import time
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
from pytorch_lightning import Trainer
from pytorch_lightning.callbacks import Callback
from sasrec import Scorer, endless_trainer, rank, trained_by

CUTOFF = 10


def ndcg(ranks: np.ndarray) -> float:
    """Mean NDCG@10 with one relevant item each; 0 is the best rank."""
    return float(np.where(ranks < CUTOFF, 1 / np.log2(ranks + 2.0), 0.0).mean())


class Reaching(Callback):
    """Times epochs, ranks the cases after each, and stops at the target or when its seconds are over."""

    def __init__(self, folder: str) -> None:
        self.folder = Path(folder)
        self.settings = json.loads((self.folder / "settings.json").read_text())
        self.curve: list[dict[str, float]] = []
        self.seconds = self.began = 0.0

    def on_train_epoch_start(self, trainer: Trainer, pl_module: Any) -> None:
        self.began = time.monotonic()

    def on_train_batch_end(self, trainer: Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        trainer.should_stop = self.seconds + time.monotonic() - self.began >= self.settings["cap_seconds"]

    def on_train_epoch_end(self, trainer: Trainer, pl_module: Any) -> None:
        self.seconds += time.monotonic() - self.began
        found = self.judged(pl_module)
        self.curve.append({"seconds": round(self.seconds, 1), "ndcg@10": found})
        print(f"  epoch {len(self.curve)}: {self.seconds:.0f} s, NDCG@10 {found:.4f}", file=sys.stderr, flush=True)
        reached = found >= self.settings["target"]
        self.tell(reached_seconds=round(self.seconds, 1) if reached else None)
        trainer.should_stop = reached or self.seconds >= self.settings["cap_seconds"]

    def judged(self, pl_module: Any) -> float:
        """NDCG@10 of the cases, from the network as it is."""
        network = pl_module.torch_model
        prepared = pl_module.data_preparator
        trained = SimpleNamespace(
            torch_model=network, data_preparator=prepared, session_max_len=prepared.session_max_len
        )
        fit = pd.read_parquet(self.folder / "fit.parquet")
        scorer = Scorer(trained, fit, self.settings["n_items"])
        cases = pd.read_parquet(self.folder / "cases-validation.parquet")
        ranked = rank(scorer, cases, repeats=self.settings["repeats"])
        ranked.to_parquet(self.folder / "ranks-validation.parquet", index=False)
        network.train()
        return ndcg(ranked["rank"].to_numpy())

    def tell(self, reached_seconds: float | None) -> None:
        """Writes what is known so far."""
        found = {
            "reached_seconds": reached_seconds,
            "curve": self.curve,
            "versions": {name: version(name) for name in ("rectools", "torch", "pytorch-lightning")},
        }
        temporary = self.folder / "reached.json.tmp"
        temporary.write_text(json.dumps(found))
        temporary.replace(self.folder / "reached.json")


def trainer_of(folder: str) -> Trainer:
    """A trainer that goes on until it is told to stop."""
    return endless_trainer(Reaching(folder))


def main(folder: Path) -> None:
    """Trains once."""
    trained_by(folder, trainer_of, {"folder": str(folder)})


if __name__ == "__main__":
    main(Path(sys.argv[1]))
