"""What the closed-form memories share: weights applied to decayed histories, and a ridge system's factor."""

from __future__ import annotations

import numpy as np
import torch
from scipy import sparse
from torch import Tensor
from torch.nn import functional

from recsys.context.sequences import Sequences, ragged_ranges
from recsys.errors import TrainingError


def decayed_sum(weights: Tensor, history: Tensor, decay: float) -> Tensor:
    """(batch, n_items): each history's rows of the weights, summed, an event weighing `decay` of the one after it.

    Args:
        weights: (n_items + 1, n_items) float32; row 0 (padding) is zero.
        history: (batch, length) int64 item index, right-aligned.
        decay: between 0 and 1.
    """
    age = torch.arange(history.shape[1] - 1, -1, -1)
    strength = (decay**age).to(weights.dtype).expand(history.shape)
    return functional.embedding_bag(history, weights, per_sample_weights=strength, mode="sum")


def cholesky(gram: Tensor, setting: str) -> Tensor:
    """The lower factor of a ridge system.

    Args:
        gram: (n, n) float32, symmetric, its ridge added.
        setting: the ridge's name, for the message.

    Raises:
        TrainingError: the ridge is too small for float32.
    """
    factor: Tensor
    factor, failed = torch.linalg.cholesky_ex(gram)
    if bool(failed):
        raise TrainingError(f"The item-item weights cannot be solved for: {setting} is too small. Raise it.")
    return factor


def dense(matrix: sparse.spmatrix) -> Tensor:
    """A sparse matrix as a float32 tensor."""
    return torch.from_numpy(np.ascontiguousarray(matrix.toarray(), dtype=np.float32))


def decayed_prefixes(sequences: Sequences, n_items: int, decay: float, window: int) -> sparse.csr_matrix:
    """(events, n_items): row e holds the decayed history before event e of the same user, over `window` events."""
    position = np.arange(len(sequences.items)) - np.repeat(sequences.offsets[:-1], sequences.lengths)
    lengths = np.minimum(position, window)
    source = ragged_ranges(np.arange(len(position)) - lengths, lengths)
    row = np.repeat(np.arange(len(position)), lengths)
    strength = decay ** (row - source - 1).astype(np.float32)
    shape = (len(position), n_items)
    return sparse.csr_matrix((strength.astype(np.float32), (row, sequences.items[source] - 1)), shape=shape)


def next_items(sequences: Sequences, n_items: int) -> sparse.csr_matrix:
    """(events, n_items): row e has a one at the item of event e."""
    events = len(sequences.items)
    ones = np.ones(events, np.float32)
    return sparse.csr_matrix((ones, (np.arange(events), sequences.items - 1)), shape=(events, n_items))
