"""Trains SASRec of RecTools on sequences that we wrote and ranks the targets that we ask for, by our tie rule.

It runs in the peers' own environment (benchmarks/peers/setup.sh) and knows nothing of `recsys`: parquet in and out.

    python benchmarks/peers/sasrec.py FOLDER

FOLDER holds `settings.json`, `fit.parquet` (user, item, position, validation) and any number of `cases-NAME.parquet`
(case, items, target). It gets `ranks-NAME.parquet` (case, rank, log_loss, and for the first cases all scores) and
`training.json`. Item numbers are 1 to n_items.
"""

from __future__ import annotations

import json
import logging
import sys
import time
import warnings
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from pytorch_lightning import Trainer, seed_everything
from pytorch_lightning.callbacks import Callback, EarlyStopping, ModelCheckpoint
from rectools import Columns
from rectools.dataset import Dataset
from rectools.models import SASRecModel

BLOCK = 256
MANY_EPOCHS = 10_000
CHECKED = 32  # of how many cases the scores are handed over, so that their ranks can be checked


class Epochs(Callback):
    """Says how far it is, and keeps what the report needs."""

    def __init__(self) -> None:
        self.validation: list[float] = []

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: Any) -> None:
        if not trainer.sanity_checking and "val_loss" in trainer.callback_metrics:
            self.validation.append(float(trainer.callback_metrics["val_loss"]))
            print(
                f"  epoch {len(self.validation)}: validation loss {self.validation[-1]:.4f}",
                file=sys.stderr,
                flush=True,
            )


class ProcessorTime(Callback):
    """Stops the fit when its process has computed for so long: what else the machine does takes nothing from it."""

    def __init__(self, seconds: float) -> None:
        self.ends = time.process_time() + seconds

    def on_train_batch_end(self, trainer: Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        if time.process_time() >= self.ends:
            trainer.should_stop = True


def last_events_of(interactions: pd.DataFrame, users: list[int]) -> np.ndarray:
    """Marks the last event of these users: it chooses the epoch and trains nothing."""
    last = interactions.groupby(Columns.User)[Columns.Datetime].transform("max") == interactions[Columns.Datetime]
    return (last & interactions[Columns.User].isin(set(users))).to_numpy()


def trainer_of(folder: str, seconds: float, epochs: int, patience: int) -> Trainer:
    """Stops after so many seconds of processor time, its epochs, or when validation no longer improves."""
    callbacks = [
        ModelCheckpoint(dirpath=folder, filename="best", monitor="val_loss", mode="min", save_top_k=1),
        EarlyStopping(monitor="val_loss", patience=patience),
        Epochs(),
        ProcessorTime(seconds),
    ]
    return quiet_trainer(max_epochs=epochs, callbacks=callbacks)


def interactions_of(fit: pd.DataFrame) -> pd.DataFrame:
    """Our events as RecTools wants them."""
    return pd.DataFrame(
        {
            Columns.User: fit["user"],
            Columns.Item: fit["item"],
            Columns.Weight: 1.0,
            # RecTools orders by time only; one second an event keeps our order.
            Columns.Datetime: pd.Timestamp("2000-01-01") + pd.to_timedelta(fit["position"], unit="s"),
        }
    )


def quiet_trainer(**more: Any) -> Trainer:
    """A trainer on the processor that tells nothing by itself."""
    return Trainer(
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        accelerator="cpu",
        devices=1,
        **more,
    )


def begun(folder: Path) -> dict[str, Any]:
    """A folder's settings; threads are as they say from here on, and the libraries silent: they warn of each other."""
    warnings.filterwarnings("ignore")
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    settings: dict[str, Any] = json.loads((folder / "settings.json").read_text())
    torch.set_num_threads(settings["threads"])
    return settings


def endless_trainer(callback: Callback, **more: Any) -> Trainer:
    """A trainer that goes on until its callback stops it, and does nothing else beside training."""
    endless = {"max_epochs": MANY_EPOCHS, "min_epochs": 0, "enable_checkpointing": False}
    return quiet_trainer(callbacks=[callback], **endless, **more)


def trained_by(folder: Path, trainer_of: Callable[..., Trainer], asked: dict[str, Any]) -> SASRecModel:
    """The model of a folder's settings, fitted on its events as long as the trainer goes on.

    Args:
        folder: holds `settings.json` (threads, seed, model) and `fit.parquet`.
        trainer_of: makes the trainer.
        asked: what it is told.
    """
    settings = begun(folder)
    seed_everything(settings["seed"], verbose=False)
    model = SASRecModel(**settings["model"], get_trainer_func=trainer_of, get_trainer_func_kwargs=asked)
    model.fit(Dataset.construct(interactions_of(pd.read_parquet(folder / "fit.parquet"))))
    return model


def train(folder: Path, settings: dict[str, Any], fit: pd.DataFrame) -> tuple[SASRecModel, dict[str, Any]]:
    """Fits the model; the epoch with the lowest validation loss is kept."""
    seed_everything(settings["seed"], verbose=False)
    model = SASRecModel(
        **settings["model"],
        get_val_mask_func=last_events_of,
        get_val_mask_func_kwargs={"users": sorted(int(user) for user in fit.loc[fit["validation"], "user"].unique())},
        get_trainer_func=trainer_of,
        get_trainer_func_kwargs={"folder": str(folder), **settings["training"]},
    )
    started, computed = time.monotonic(), time.process_time()
    model.fit(Dataset.construct(interactions_of(fit)))
    seconds, computed = time.monotonic() - started, time.process_time() - computed
    best = folder / "best.ckpt"
    if best.exists():
        model.load_weights_from_checkpoint(best)
        best.unlink()
    own = next(callback for callback in model.fit_trainer.callbacks if isinstance(callback, Epochs))
    return model, {
        "seconds": round(seconds, 1),
        "steps": int(model.fit_trainer.global_step),
        "processor_seconds": round(computed, 1),
        "stopped_by_time": computed >= settings["training"]["seconds"],
        "validation_losses": own.validation,
        "kept_best": bool(own.validation),
    }


class Scorer:
    """Scores all items for histories, straight from the network: RecTools itself gives only a top-k.

    A history without any item of the training data gets the training counts.
    """

    def __init__(self, model: SASRecModel, fit: pd.DataFrame, n_items: int) -> None:
        self._network = model.torch_model.eval()
        self._length = model.session_max_len
        ids = model.data_preparator.item_id_map
        known = np.asarray(model.data_preparator.get_known_item_ids()).astype(np.int64)
        self._columns = torch.from_numpy(known - 1)
        self._internal = np.zeros(n_items + 1, np.int64)
        self._internal[known] = ids.convert_to_internal(known)
        counts = np.bincount(fit.loc[~fit["validation"], "item"], minlength=n_items + 1)[1:]
        self._counts = torch.from_numpy(np.log1p(counts).astype(np.float32))
        with torch.no_grad():
            self._embeddings = self._network.item_model.get_all_embeddings()
            towers = self._network.similarity_module.item_tower_forward(self._embeddings)
            self._towers = towers[torch.from_numpy(self._internal[known])]

    @torch.no_grad()
    def __call__(self, histories: list[np.ndarray]) -> torch.Tensor:
        """(batch, n_items); items that were not in training come below all others."""
        sessions = np.zeros((len(histories), self._length), np.int64)
        for row, history in enumerate(histories):
            own = self._internal[history]
            own = own[own > 0][-self._length :]
            if len(own):
                sessions[row, -len(own) :] = own
        network = self._network
        states = network.encode_sessions({"x": torch.from_numpy(sessions)}, self._embeddings)[:, -1, :]
        found = network.similarity_module.session_tower_forward(states) @ self._towers.T
        scores = (found.amin(1) - 1)[:, None].repeat(1, len(self._counts))
        scores[:, self._columns] = found
        return torch.where(torch.from_numpy(sessions.any(1))[:, None], scores, self._counts)


def rank(scorer: Scorer, cases: pd.DataFrame, *, repeats: bool) -> pd.DataFrame:
    """Each target's rank: how many other items that are not masked score at or above it."""
    ranks, losses, kept = [], [], []
    for start in range(0, len(cases), BLOCK):
        block = cases.iloc[start : start + BLOCK]
        histories = [np.asarray(items, np.int64) for items in block["items"]]
        scores = scorer(histories)
        if not bool(torch.isfinite(scores).all()):
            raise SystemExit("SASRec gave a score that is not finite.")
        targets = torch.from_numpy(block["target"].to_numpy() - 1)[:, None]
        masked = torch.zeros(scores.shape, dtype=torch.bool)
        if not repeats:
            rows = torch.from_numpy(np.repeat(np.arange(len(block)), [len(history) for history in histories]))
            masked[rows, torch.from_numpy(np.concatenate([*histories, np.zeros(0, np.int64)]) - 1)] = True
        possible = ~masked.gather(1, targets)[:, 0]
        own = scores.gather(1, targets)
        ahead = ((scores >= own) & ~masked).scatter_(1, targets, value=False)
        ranks.append(torch.where(possible, ahead.sum(1), scores.shape[1]).numpy())
        loss = scores.masked_fill(masked, -torch.inf).logsumexp(1) - own[:, 0]
        losses.append(torch.where(possible, loss, (~masked).sum(1).float().log()).numpy())
        kept += [row.numpy() if start + n < CHECKED else None for n, row in enumerate(scores)]
    columns = {"case": cases["case"], "rank": np.concatenate(ranks), "log_loss": np.concatenate(losses)}
    return pd.DataFrame({**columns, "scores": kept})


def main(folder: Path) -> None:
    """Trains once and ranks every file of cases."""
    settings = begun(folder)
    fit = pd.read_parquet(folder / "fit.parquet")
    model, training = train(folder, settings, fit)
    scorer = Scorer(model, fit, settings["n_items"])
    for path in sorted(folder.glob("cases-*.parquet")):
        ranked = rank(scorer, pd.read_parquet(path), repeats=settings["repeats"])
        ranked.to_parquet(folder / path.name.replace("cases-", "ranks-"), index=False)
    versions = {name: version(name) for name in ("rectools", "torch", "numpy", "pytorch-lightning")}
    (folder / "training.json").write_text(json.dumps({**training, "versions": versions}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
