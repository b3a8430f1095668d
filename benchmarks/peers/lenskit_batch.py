"""Recommends with LensKit's batch pipeline, `lenskit.batch.recommend`, by its fastest personal model. See rounds.py.

    python benchmarks/peers/lenskit_batch.py FOLDER

Candidates are implicit ALS, its user vectors kept from training, and item neighbours; each in one process and in as
many as there are threads. The pipeline leaves out what a user has in the training data.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from lenskit.als import ImplicitMFScorer
from lenskit.batch import recommend
from lenskit.data import from_interactions_df
from lenskit.knn import ItemKNNScorer
from lenskit.pipeline import topn_pipeline
from rounds import answer_rounds


class Pipelines:
    """Trained pipelines, by the name of their model."""

    packages = ("lenskit", "torch", "numpy")

    def __init__(self, events: pd.DataFrame, settings: dict[str, Any]) -> None:
        self._k, self._threads = settings["k"], settings["threads"]
        renamed = events.rename(columns={"user": "user_id", "item": "item_id"})
        data = from_interactions_df(renamed[["user_id", "item_id"]])
        scorers = {
            "implicit ALS": ImplicitMFScorer(embedding_size=settings["factors"], epochs=5, user_embeddings="prefer"),
            "item neighbours": ItemKNNScorer(max_nbrs=20, feedback="implicit"),
        }
        self._pipelines = {name: topn_pipeline(scorer, n=self._k) for name, scorer in scorers.items()}
        for pipeline in self._pipelines.values():
            pipeline.train(data)
        self.about: Mapping[str, object] = {"factors": settings["factors"]}

    def ways(self) -> Mapping[str, Callable[[np.ndarray], Any]]:
        """Each model in one process and in several."""
        return {
            f"{name}, {jobs} processes": partial(self._recommend, pipeline, jobs)
            for name, pipeline in self._pipelines.items()
            for jobs in sorted({1, self._threads})
        }

    def columns(self, found: Any) -> np.ndarray:
        """See `rounds.Peer`."""
        columns = np.zeros((len(found), self._k), np.int64)
        for key, own in found.items():
            ids = own.ids()[: self._k]
            columns[key.user_id, : len(ids)] = ids
        return columns

    def _recommend(self, pipeline: Any, jobs: int, users: np.ndarray) -> Any:
        return recommend(pipeline, users.tolist(), n=self._k, n_jobs=jobs)


if __name__ == "__main__":
    answer_rounds(Pipelines)
