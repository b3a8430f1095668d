"""Recommends with the ALS of `implicit`: everybody's best items, what they have seen left out.

    python benchmarks/peers/als.py FOLDER

See rounds.py for what FOLDER holds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from implicit.als import AlternatingLeastSquares
from rounds import answer_rounds, seen_items
from threadpoolctl import threadpool_limits

BATCHES = (256, 1_024, 4_096)


class Als:
    """The fitted model; few iterations will do, since scoring costs the same after any number of them."""

    packages = ("implicit", "numpy", "scipy")

    def __init__(self, events: pd.DataFrame, settings: dict[str, Any]) -> None:
        threadpool_limits(1, "blas")  # as the library advises: it splits users among threads of its own
        self._k = settings["k"]
        self._seen = seen_items(events, settings["n_items"])
        self._model = AlternatingLeastSquares(
            factors=settings["factors"], iterations=5, num_threads=settings["threads"], random_state=settings["seed"]
        )
        self._model.fit(self._seen, show_progress=False)
        self.about: Mapping[str, object] = {"model": "ALS", "factors": settings["factors"]}

    def ways(self) -> Mapping[str, Callable[[np.ndarray], list[np.ndarray]]]:
        """Several numbers of users a call."""
        sizes = (*BATCHES, self._seen.shape[0])
        return {f"{size} users a call": partial(self._recommend, size) for size in sizes}

    def columns(self, found: list[np.ndarray]) -> np.ndarray:
        """See `rounds.Peer`."""
        return np.concatenate(found) + 1

    def _recommend(self, size: int, users: np.ndarray) -> list[np.ndarray]:
        return [self._of(users[start : start + size]) for start in range(0, len(users), size)]

    def _of(self, users: np.ndarray) -> np.ndarray:
        seen = self._seen[users[0] : users[-1] + 1]
        return self._model.recommend(users, seen, N=self._k, filter_already_liked_items=True)[0]


if __name__ == "__main__":
    answer_rounds(Als)
