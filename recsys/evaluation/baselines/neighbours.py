"""Item neighbours through the library `implicit`: a context's items vote for the items most like them.

Source: Sarwar et al., Item-based Collaborative Filtering Recommendation Algorithms, WWW 2001.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from itertools import product
from typing import Literal

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field
from scipy import sparse
from torch import Tensor

from recsys.context.batch import ContextBatch
from recsys.context.sequences import Sequences
from recsys.evaluation.baselines.extras import context_matrix, require_implicit, user_item_matrix
from recsys.evaluation.baselines.tuning import Trial, Tuned, validation_ndcg

Similarity = Literal["cosine", "tfidf", "bm25"]
SIMILARITIES: tuple[Similarity, ...] = ("cosine", "tfidf", "bm25")
NEIGHBOURS = (50, 200)


class NeighbourConfig(BaseModel):
    """Settings of item neighbours."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    similarity: Similarity = "cosine"
    """How users are weighted before items are compared."""
    neighbours: int = Field(default=200, ge=1)
    """How many neighbours an item keeps."""


class NeighbourScorer:
    """Sums the similarities of a context's items.

    Args:
        similarity: (n_items, n_items) sparse; row i holds item i's neighbours.
    """

    def __init__(self, similarity: sparse.csr_matrix) -> None:
        self._similarity = similarity

    def __call__(self, context: ContextBatch) -> Tensor:
        """(batch, n_items) float32."""
        votes = context_matrix(context, self._similarity.shape[0]) @ self._similarity
        return torch.from_numpy(votes.toarray().astype(np.float32))


def fit_neighbours(train: Sequences, n_items: int, config: NeighbourConfig, *, threads: int = 1) -> NeighbourScorer:
    """Compares all items of the training sequences.

    Raises:
        ConfigError: `implicit` is not installed.
    """
    require_implicit()
    from implicit import nearest_neighbours

    kinds = {
        "cosine": nearest_neighbours.CosineRecommender,
        "tfidf": nearest_neighbours.TFIDFRecommender,
        "bm25": nearest_neighbours.BM25Recommender,
    }
    # The library counts an item among its own neighbours.
    model = kinds[config.similarity](K=config.neighbours + 1, num_threads=threads)
    with warnings.catch_warnings():
        # The library warns of a conversion between two of its own steps.
        warnings.filterwarnings("ignore", message="Method expects CSR input")
        model.fit(user_item_matrix(train, n_items), show_progress=False)
    similarity = model.similarity.astype(np.float32).tocsr()
    similarity.setdiag(0)
    similarity.eliminate_zeros()
    return NeighbourScorer(similarity)


def neighbour_trials(
    whole: Sequences,
    train: Sequences,
    n_items: int,
    *,
    repeats: bool,
    threads: int = 1,
    on_trial: Callable[[Trial[NeighbourConfig]], None] = lambda _: None,
) -> Tuned[NeighbourConfig]:
    """Tries every similarity with few and many neighbours; arguments as in `ials_trials`."""
    trials = []
    for similarity, neighbours in product(SIMILARITIES, NEIGHBOURS):
        started = time.monotonic()
        config = NeighbourConfig(similarity=similarity, neighbours=neighbours)
        scorer = fit_neighbours(train, n_items, config, threads=threads)
        found = validation_ndcg(scorer, whole, train, n_items, repeats=repeats)
        trials.append(Trial(config, found, round(time.monotonic() - started, 2)))
        on_trial(trials[-1])
    return Tuned(tuple(trials))
