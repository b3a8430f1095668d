"""What the closed-form memories share: weights applied to decayed histories, and a ridge system's factor."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from scipy import sparse
from torch import Tensor
from torch.nn import functional

from recsys.context.sequences import Sequences, ragged_ranges
from recsys.errors import TrainingError

_ENTRIES = 4_000_000
"""Of decayed histories made at once: on the way each takes six times what it takes in the end."""


def decayed_sum(weights: Tensor, history: Tensor, decay: float) -> Tensor:
    """(batch, n_items): each history's rows of the weights, summed, an event weighing `decay` of the one after it.

    Args:
        weights: (n_items + 1, n_items) float32; row 0 (padding) is zero.
        history: (batch, length) int64 item index, right-aligned.
        decay: between 0 and 1.
    """
    strength = strengths(history.shape[1], decay, weights.dtype).expand(history.shape)
    return functional.embedding_bag(history, weights, per_sample_weights=strength, mode="sum")


@lru_cache(maxsize=64)
def strengths(length: int, decay: float, dtype: torch.dtype = torch.float32) -> Tensor:
    """(length,) what each event weighs in a decayed history, oldest first."""
    age = torch.arange(length - 1, -1, -1)
    return (decay**age).to(dtype)


def check_rows(weights: Tensor, n_items: int) -> Tensor:
    """The weights, once they are known to have a row for padding and for every item.

    Raises:
        ValueError: they have more or fewer.
    """
    if weights.shape[-2] != n_items + 1:
        raise ValueError(f"{weights.shape[-2]} rows for padding and {n_items} items")
    return weights


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
    """The decayed history before each event, over `window` events; before each basket, where there are baskets.

    Returns:
        (prefixes, n_items) float32; the prefix of each event is `prefix_of_events`.
    """
    first = np.unique(prefix_of_events(sequences), return_index=True)[1]
    lengths = np.minimum(sequences.positions[first], window)
    block = lengths.cumsum() // _ENTRIES
    cuts = np.flatnonzero(np.diff(block)) + 1
    rows = np.split(np.arange(len(first)), cuts)
    parts = [_prefix_rows(sequences, n_items, decay, first[own], lengths[own]) for own in rows]
    return parts[0] if len(parts) == 1 else sparse.vstack(parts, format="csr")


def _prefix_rows(
    sequences: Sequences, n_items: int, decay: float, first: np.ndarray, lengths: np.ndarray
) -> sparse.csr_matrix:
    """The decayed histories of the `lengths` events before each event `first`."""
    source = ragged_ranges(first - lengths, lengths)
    row = np.repeat(np.arange(len(first)), lengths)
    strength = decay ** (first[row] - source - 1).astype(np.float32)
    shape = (len(first), n_items)
    return sparse.csr_matrix((strength.astype(np.float32), (row, sequences.items[source] - 1)), shape=shape)


def next_items(sequences: Sequences, n_items: int) -> sparse.csr_matrix:
    """(prefixes, n_items) float32: the weights of the events that follow each prefix."""
    rows = prefix_of_events(sequences)
    shape = (int(rows.max(initial=-1)) + 1, n_items)
    return sparse.csr_matrix((sequences.values.astype(np.float32), (rows, sequences.items - 1)), shape=shape)


def prefix_of_events(sequences: Sequences) -> np.ndarray:
    """(events,) int64 row of the prefix that each event follows: one an event, or one a basket."""
    if not sequences.baskets:
        return np.arange(len(sequences.items), dtype=np.int64)
    rows: np.ndarray = np.cumsum(sequences.positions == sequences.known_before) - 1
    return rows


def normal_equations(stacked: sparse.csr_matrix, following: sparse.csr_matrix) -> tuple[Tensor, Tensor]:
    """XᵀDX and XᵀY of a ridge regression of what follows on histories.

    Args:
        stacked: (prefixes, columns) X.
        following: (prefixes, n_items) Y, its entries the events' weights; D holds their sum over each row.

    Returns:
        (columns, columns) and (columns, n_items) float32.
    """
    gram, cross = sparse_normal_equations(stacked, following)
    return dense(gram), dense(cross)


def sparse_normal_equations(
    stacked: sparse.csr_matrix, following: sparse.csr_matrix
) -> tuple[sparse.csr_matrix, sparse.csr_matrix]:
    """`normal_equations` with both results sparse: for few prefixes over many items."""
    weights = np.asarray(following.sum(1)).ravel().astype(np.float32)
    return (stacked.T @ sparse.diags_array(weights)) @ stacked, stacked.T @ following


def add_sparse(onto: Tensor, addend: sparse.spmatrix, sign: float = 1.0) -> None:
    """Adds `sign` times a sparse matrix to a dense one of the same shape, in place, entry by entry."""
    entries = sparse.csr_matrix(addend).tocoo()
    onto.numpy()[entries.row, entries.col] += np.float32(sign) * entries.data


def fill_attributes(gram: Tensor, cross: Tensor, described: sparse.csr_matrix) -> None:
    """Fills what a system says of attributes in from its last history: (X A)ᵀD(X A) = Aᵀ(XᵀDX)A. Counts nothing.

    Args:
        gram: (columns, columns) float32 XᵀDX; the attributes' rows and columns come last and are overwritten.
        cross: (columns, n_items) float32 XᵀY; the attributes' rows are overwritten.
        described: (n_items, n_attributes) float32 A, at its weight.
    """
    own = len(gram) - described.shape[1]
    last = slice(own - described.shape[0], own)
    beside = torch.from_numpy(np.ascontiguousarray(described.T @ gram[last, :own].numpy()))
    gram[own:, :own], gram[:own, own:] = beside, beside.T
    gram[own:, own:] = torch.from_numpy((described.T @ beside[:, last].numpy().T).T.copy())
    cross[own:] = torch.from_numpy(described.T @ cross[last].numpy())
