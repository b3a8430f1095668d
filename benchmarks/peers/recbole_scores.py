"""Recommends with RecBole's SASRec: `full_sort_predict`, seen items masked as its trainer does, top k. See rounds.py.

    python benchmarks/peers/recbole_scores.py FOLDER

The weights are as RecBole initialises them: scoring costs the same after training. Sequences and the indices of seen
items lie ready as tensors, in batches, before the clock starts.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import torch
from recbole.config import Config
from recbole.data.interaction import Interaction
from recbole.model.sequential_recommender.sasrec import SASRec
from rounds import answer_rounds, seen_items

BATCHES = (8, 16, 64, 256, 1_024)


class Numbers:
    """All that SASRec asks of a data set: how many items there are, padding included."""

    def __init__(self, n_items: int) -> None:
        self._n_items = n_items

    def num(self, field: str) -> int:
        """Of a field's values."""
        return self._n_items + 1


class FullSort:
    """The model and everybody's last events."""

    packages = ("recbole", "torch", "numpy")

    def __init__(self, events: pd.DataFrame, settings: dict[str, Any]) -> None:
        torch.set_num_threads(settings["threads"])
        self._k = settings["k"]
        shape = {name: settings[name] for name in ("n_layers", "n_heads", "hidden_size")}
        config = _config({**shape, "MAX_ITEM_LIST_LENGTH": settings["length"], "seed": settings["seed"]})
        torch.manual_seed(settings["seed"])
        self._model = SASRec(config, Numbers(settings["n_items"])).eval()
        self._items, self._lengths = _left_aligned(events, settings["length"])
        self._seen = seen_items(events, settings["n_items"])
        inner = int(config["inner_size"])
        self.about: Mapping[str, object] = {"model": "SASRec", **shape, "inner_size": inner}

    def ways(self) -> Mapping[str, Callable[[np.ndarray], list[torch.Tensor]]]:
        """Several batch sizes."""
        return {f"batches of {size}": partial(self._recommend, self._batches(size)) for size in BATCHES}

    def columns(self, found: list[torch.Tensor]) -> np.ndarray:
        """See `rounds.Peer`."""
        return torch.cat(found).numpy()

    def _batches(self, size: int) -> list[tuple[int, Interaction, tuple[torch.Tensor, torch.Tensor]]]:
        batches = []
        for start in range(0, len(self._items), size):
            own = slice(start, min(start + size, len(self._items)))
            row, column = self._seen[own].nonzero()
            fields = {self._model.ITEM_SEQ: self._items[own], self._model.ITEM_SEQ_LEN: self._lengths[own]}
            index = (torch.from_numpy(row.astype(np.int64)), torch.from_numpy(column.astype(np.int64) + 1))
            batches.append((own.stop, Interaction(fields), index))
        return batches

    @torch.no_grad()
    def _recommend(self, batches: list[Any], users: np.ndarray) -> list[torch.Tensor]:
        found = []
        for end, interaction, seen in batches:
            scores = self._model.full_sort_predict(interaction)
            scores[:, 0] = -torch.inf
            scores[seen] = -torch.inf
            found.append(scores.topk(self._k).indices)
            if end >= len(users):
                break
        found[-1] = found[-1][: len(found[-1]) - (end - len(users))]
        return found


def _config(settings: dict[str, object]) -> Config:
    arguments, sys.argv = sys.argv, sys.argv[:1]  # RecBole reads the command line for settings of its own
    try:
        fixed = {"use_gpu": False, "train_neg_sample_args": None, "loss_type": "CE"}
        return Config(model="SASRec", dataset="events", config_dict={**fixed, **settings})
    finally:
        sys.argv = arguments


def _left_aligned(events: pd.DataFrame, length: int) -> tuple[torch.Tensor, torch.Tensor]:
    """(users, length) the last items of each, padding after them, and (users,) how many there are."""
    own = events.sort_values(["user", "position"]).groupby("user").tail(length)
    place = own.groupby("user").cumcount().to_numpy()
    items = np.zeros((int(events["user"].max()) + 1, length), np.int64)
    items[own["user"].to_numpy(), place] = own["item"].to_numpy()
    return torch.from_numpy(items), torch.from_numpy((items > 0).sum(1))


if __name__ == "__main__":
    answer_rounds(FullSort)
