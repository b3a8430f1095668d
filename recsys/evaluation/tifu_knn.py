"""TIFU-kNN, the next-basket method to beat: decayed personal frequencies mixed with those of the nearest users.

It fits and scores; how it is tuned stands in `repeat_baselines`. No library that we know of provides it.

Source: Hu, He, Gao, Zhang: Modeling Personalized Item Frequency Information for Next-basket Recommendation
(SIGIR 2020).
"""

from __future__ import annotations

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field
from scipy import sparse
from torch import Tensor

from recsys.context.batch import ContextBatch
from recsys.context.sequences import Sequences, prefix_contexts

_BLOCK = 256


class TifuKnnConfig(BaseModel):
    """Settings of TIFU-kNN; the letters are the paper's."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    group_size: int = Field(default=7, ge=1)
    """m: baskets a group; the oldest group holds what is left over."""
    within_decay: float = Field(default=0.9, gt=0, le=1)
    """r_b: weight of a basket relative to the one after it in its group."""
    group_decay: float = Field(default=0.7, gt=0, le=1)
    """r_g: weight of a group relative to the one after it."""
    neighbours: int = Field(default=300, ge=1)
    """k: nearest training users, by Euclidean distance of the vectors."""
    own_share: float = Field(default=0.7, ge=0, le=1)
    """α: share of the user's own vector; the rest is the mean of the neighbours'."""


class TifuKnn:
    """Scores contexts; call it with a batch.

    A basket is a run of events of one time in the history tensor, so that tensor must be long enough to hold the whole
    history. A context does not say whose it is: a training user may be one of the own neighbours, one in k.

    Args:
        vectors: (training users, n_items) their vectors.
        config: the settings.
    """

    def __init__(self, vectors: sparse.csr_array, config: TifuKnnConfig) -> None:
        self.vectors = vectors
        self.config = config
        self._norms = _squared_norms(vectors)

    def __call__(self, context: ContextBatch) -> Tensor:
        """(batch, n_items) float32."""
        own = user_vectors(context, self.vectors.shape[1], self.config)
        k = min(self.config.neighbours, self.vectors.shape[0])
        distances = _squared_norms(own)[:, None] + self._norms[None, :] - 2 * (own @ self.vectors.T).toarray()
        nearest = np.argpartition(distances, k - 1, axis=1)[:, :k]
        rows = np.repeat(np.arange(len(context)), k)
        shares = np.full(len(rows), 1 / k)
        mean = sparse.csr_array((shares, (rows, nearest.ravel())), shape=distances.shape) @ self.vectors
        mixed = self.config.own_share * own + (1 - self.config.own_share) * mean
        return torch.from_numpy(mixed.toarray().astype(np.float32))


def fit_tifu_knn(train: Sequences, n_items: int, config: TifuKnnConfig) -> TifuKnn:
    """Computes the vectors of all users with training events.

    Args:
        train: training sequences.
        n_items: size of the vocabulary.
        config: the settings.
    """
    users = np.flatnonzero(train.lengths)
    nothing = np.zeros((len(train), 0), np.float32)
    longest = max(1, int(train.lengths.max(initial=0)))
    blocks = [users[start : start + _BLOCK] for start in range(0, len(users), _BLOCK)]
    vectors = [
        user_vectors(
            prefix_contexts(train, block, train.lengths[block], nothing, history_length=longest), n_items, config
        )
        for block in blocks
    ]
    return TifuKnn(sparse.csr_array(sparse.vstack(vectors)), config)


def user_vectors(context: ContextBatch, n_items: int, config: TifuKnnConfig) -> sparse.csr_array:
    """(batch, n_items) float64: each user's item frequencies, decayed by basket within a group and by group.

    Source: Hu et al., SIGIR 2020, equations 1 and 2; groups are counted from the newest basket.
    """
    history, times = context.history.numpy(), context.times.numpy()
    there = history > 0
    starts = there & np.pad(times[:, 1:] != times[:, :-1], ((0, 0), (1, 0)), constant_values=True)
    starts |= there & np.pad(~there[:, :-1], ((0, 0), (1, 0)), constant_values=True)
    baskets = starts.sum(1)
    ages = baskets[:, None] - np.cumsum(starts, axis=1)
    rows, age, items = np.unique(np.stack([np.nonzero(there)[0], ages[there], history[there] - 1]), axis=1)

    m = config.group_size
    groups = -(-baskets // m)
    oldest = baskets - m * (groups - 1)
    group = age // m
    size = np.where(group == groups[rows] - 1, oldest[rows], m)
    weights = config.within_decay ** (age % m) * config.group_decay**group / (size * groups[rows])
    return sparse.csr_array((weights, (rows, items)), shape=(len(context), n_items))


def _squared_norms(vectors: sparse.csr_array) -> np.ndarray:
    norms: np.ndarray = np.asarray(vectors.multiply(vectors).sum(axis=1)).ravel()
    return norms
