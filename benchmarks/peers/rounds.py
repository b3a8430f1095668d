"""How a batch peer is asked: it gets ready, says so, and then recommends to everybody once for each line it reads.

It runs in the peers' own environments (benchmarks/peers/setup.sh) and knows nothing of `recsys`. The peer's folder
holds `settings.json` (threads, k, n_items, length, seed, sample and what a peer is told besides) and `events.parquet`
(user, item, position: users from 0, items from 1, each user's events in order). Answers are JSON lines on what was
standard output; whatever libraries print goes to standard error.
"""

from __future__ import annotations

import json
import os
import sys
import time
import warnings
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd
from scipy.sparse import csr_matrix


class Peer(Protocol):
    """A fitted library."""

    packages: tuple[str, ...]
    """Whose versions are told."""
    about: Mapping[str, object]
    """What else is told of it."""

    def ways(self) -> Mapping[str, Callable[[np.ndarray], Any]]:
        """Ways to recommend to some users, all with the same outcome; the fastest one is measured."""
        ...

    def columns(self, found: Any) -> np.ndarray:
        """(users, k) item numbers from 1 of what a way returned; 0 where there is none."""
        ...


def seen_items(events: pd.DataFrame, n_items: int) -> csr_matrix:
    """(users, n_items) float32: 1 at what each user has an event of."""
    users = int(events["user"].max()) + 1
    ones = np.ones(len(events), np.float32)
    seen = csr_matrix((ones, (events["user"], events["item"] - 1)), shape=(users, n_items))
    seen.sum_duplicates()
    seen.data[:] = 1
    return seen


def answer_rounds(fit: Callable[[pd.DataFrame, dict[str, Any]], Peer]) -> None:
    """Fits the peer, finds its fastest way on a sample of the users, and answers rounds until its input ends.

    Args:
        fit: events and settings to the fitted peer.
    """
    warnings.filterwarnings("ignore")  # what the libraries warn of is between them
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    folder = Path(sys.argv[1])
    settings = json.loads((folder / "settings.json").read_text())
    events = pd.read_parquet(folder / "events.parquet")
    started = time.perf_counter()
    peer = fit(events, settings)
    fitted = time.perf_counter() - started
    everybody = np.arange(int(events["user"].max()) + 1)
    seen = seen_items(events, settings["n_items"])
    sample = everybody[: settings["sample"]]
    seconds = {name: _tried(peer, way, sample, seen, settings["k"]) for name, way in peer.ways().items()}
    fastest = min(seconds, key=lambda name: seconds[name])
    told = {
        "versions": {name: version(name) for name in peer.packages},
        "fitted_in_seconds": round(fitted, 1),
        "users_a_second_of_a_sample": {name: round(len(sample) / own, 1) for name, own in seconds.items()},
        "way": fastest,
        **peer.about,
    }
    print(json.dumps(told), file=answers)
    way = peer.ways()[fastest]
    for _ in sys.stdin:
        started = time.perf_counter()
        found = way(everybody)
        took = time.perf_counter() - started
        listed = int((peer.columns(found) > 0).sum())
        print(json.dumps({"seconds": took, "users": len(everybody), "recommended": listed}), file=answers)


def _tried(peer: Peer, way: Callable[[np.ndarray], Any], users: np.ndarray, seen: csr_matrix, k: int) -> float:
    """Seconds of the faster of two runs, once one before them is known to keep to the rules."""
    columns = peer.columns(way(users))
    if columns.shape != (len(users), k):
        raise SystemExit(f"{columns.shape} items came back for {len(users)} users and {k} items each")
    row, place = np.nonzero(columns)
    if seen[users[row], columns[row, place] - 1].sum():
        raise SystemExit("an item was recommended to a user who has seen it")
    seconds = []
    for _ in range(2):
        started = time.perf_counter()
        way(users)
        seconds.append(time.perf_counter() - started)
    return min(seconds)
