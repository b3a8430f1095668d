"""Recommends with RecBole's SASRec: `full_sort_predict`, seen items masked as its trainer does, top k. See rounds.py.

    python benchmarks/peers/recbole_scores.py FOLDER

The weights are as RecBole initialises them: scoring costs the same after training. Sequences and the indices of seen
items lie ready as tensors, in batches, before the clock starts. Batches go through one process with all threads, or
through as many processes as there are threads, with one each, which run before the clock starts and take turns at them.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from functools import partial
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
import pandas as pd
import torch
from recbole.config import Config
from recbole.data.interaction import Interaction
from recbole.model.sequential_recommender.sasrec import SASRec
from rounds import answer_rounds, seen_items
from torch import multiprocessing

BATCHES = (8, 16, 64, 256, 1_024)
OF_SEVERAL = BATCHES[:-1]
"""The sample is one of the largest, which keeps one process alone busy."""


class Numbers:
    """All that SASRec asks of a data set: how many items there are, padding included."""

    def __init__(self, n_items: int) -> None:
        self._n_items = n_items

    def num(self, field: str) -> int:
        """Of a field's values."""
        return self._n_items + 1


class Scorer:
    """The model and everybody's last events, in one process.

    Args:
        events: everybody's.
        settings: see rounds.py.
        threads: of this process.
        share: takes every `shares`-th batch, from this one on.
        shares: how many take turns.
    """

    def __init__(
        self, events: pd.DataFrame, settings: dict[str, Any], threads: int, share: int = 0, shares: int = 1
    ) -> None:
        torch.set_num_threads(threads)
        self._k, self._share, self._shares = settings["k"], share, shares
        self.config = _config(settings)
        torch.manual_seed(settings["seed"])
        self._model = SASRec(self.config, Numbers(settings["n_items"])).eval()
        self._items, self._lengths = _left_aligned(events, settings["length"])
        self._seen = seen_items(events, settings["n_items"])
        self._ready: dict[int, list[Any]] = {}

    @torch.no_grad()
    def recommend(self, size: int, users: int, into: torch.Tensor) -> None:
        """Fills the rows of its batches of the first users; those of the last batch may go on beyond them.

        Args:
            size: of a batch.
            users: how many.
            into: (everybody, k) int64.
        """
        if size not in self._ready:
            self._ready[size] = self._batches(size)
        for own, interaction, seen in self._ready[size]:
            if own.start >= users:
                break
            scores = self._model.full_sort_predict(interaction)
            scores[:, 0] = -torch.inf
            scores[seen] = -torch.inf
            into[own] = scores.topk(self._k).indices

    def _batches(self, size: int) -> list[tuple[slice, Interaction, tuple[torch.Tensor, torch.Tensor]]]:
        batches = []
        for start in range(self._share * size, len(self._items), self._shares * size):
            own = slice(start, min(start + size, len(self._items)))
            row, column = self._seen[own].nonzero()
            fields = {self._model.ITEM_SEQ: self._items[own], self._model.ITEM_SEQ_LEN: self._lengths[own]}
            index = (torch.from_numpy(row.astype(np.int64)), torch.from_numpy(column.astype(np.int64) + 1))
            batches.append((own, Interaction(fields), index))
        return batches


class Processes:
    """Scorers of one thread each; results come back through memory that all share.

    Args:
        events: everybody's.
        settings: see rounds.py.
        into: (everybody, k) int64, shared.
    """

    def __init__(self, events: pd.DataFrame, settings: dict[str, Any], into: torch.Tensor) -> None:
        spawn, shares = multiprocessing.get_context("spawn"), settings["threads"]
        self._ends = []
        for share in range(shares):
            own, its = spawn.Pipe()
            spawn.Process(target=_serve, args=(its, events, settings, share, shares, into), daemon=True).start()
            its.close()
            self._ends.append(own)

    def recommend(self, size: int, users: int) -> None:
        """As `Scorer.recommend`, all of them side by side."""
        for end in self._ends:
            end.send((size, users))
        for end in self._ends:
            end.recv()


class FullSort:
    """The model in one process and in several."""

    packages = ("recbole", "torch", "numpy")

    def __init__(self, events: pd.DataFrame, settings: dict[str, Any]) -> None:
        everybody = int(events["user"].max()) + 1
        self._into = torch.zeros(everybody, settings["k"], dtype=torch.int64).share_memory_()
        self._processes = Processes(events, settings, self._into) if settings["threads"] > 1 else None
        self._count = settings["threads"]
        self._alone = Scorer(events, settings, settings["threads"])
        told = ("n_layers", "n_heads", "hidden_size", "inner_size", "MAX_ITEM_LIST_LENGTH")
        self.about: Mapping[str, object] = {"model": "SASRec", **{name: self._alone.config[name] for name in told}}

    def ways(self) -> Mapping[str, Callable[[np.ndarray], torch.Tensor]]:
        """Several batch sizes, each in one process and in several."""
        found = {f"batches of {size}, 1 process": partial(self._by_one, size) for size in BATCHES}
        if self._processes is None:
            return found
        several = {
            f"batches of {size}, {self._count} processes": partial(self._by_several, size) for size in OF_SEVERAL
        }
        return found | several

    def columns(self, found: torch.Tensor) -> np.ndarray:
        """See `rounds.Peer`."""
        return found.numpy()

    def _by_one(self, size: int, users: np.ndarray) -> torch.Tensor:
        self._alone.recommend(size, len(users), self._into)
        return self._into[: len(users)]

    def _by_several(self, size: int, users: np.ndarray) -> torch.Tensor:
        assert self._processes is not None
        self._processes.recommend(size, len(users))
        return self._into[: len(users)]


def _serve(
    connection: Connection,
    events: pd.DataFrame,
    settings: dict[str, Any],
    share: int,
    shares: int,
    into: torch.Tensor,
) -> None:
    scorer = Scorer(events, settings, 1, share, shares)
    try:
        while True:
            size, users = connection.recv()
            scorer.recommend(size, users, into)
            connection.send(True)
    except EOFError:
        return


def _config(settings: dict[str, Any]) -> Config:
    """As wide within as without, like the peers in training."""
    arguments, sys.argv = sys.argv, sys.argv[:1]  # RecBole reads the command line for settings of its own
    shape = {name: settings[name] for name in ("n_layers", "n_heads", "hidden_size", "seed")}
    asked = {**shape, "inner_size": settings["hidden_size"], "MAX_ITEM_LIST_LENGTH": settings["length"]}
    try:
        fixed = {"use_gpu": False, "train_neg_sample_args": None, "loss_type": "CE"}
        return Config(model="SASRec", dataset="events", config_dict={**fixed, **asked})
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
