"""What the baselines that come from `implicit` share: its import, and contexts as its sparse rows."""

from __future__ import annotations

import os
from types import ModuleType

import numpy as np
from scipy import sparse

from recsys.context.batch import ContextBatch
from recsys.context.sequences import Sequences
from recsys.errors import ConfigError


def require_implicit() -> ModuleType:
    """The package `implicit`.

    Raises:
        ConfigError: it is not installed.
    """
    # Read at its import: it warns, and slows down, when BLAS threads run inside its own.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    try:
        import implicit
    except ImportError as error:
        raise ConfigError(
            "The baselines iALS and item neighbours need the package 'implicit', which is not installed. "
            "Install the extra: make setup EXTRAS=all (in a checkout) or pip install 'recsys[bench]'."
        ) from error
    module: ModuleType = implicit
    return module


def user_item_matrix(sequences: Sequences, n_items: int) -> sparse.csr_matrix:
    """(users, n_items) float32: 1 where the user touched the item, however often."""
    users = sequences.owners
    counts = sparse.csr_matrix(
        (np.ones(len(users), np.float32), (users, sequences.items - 1)), shape=(len(sequences), n_items)
    )
    counts.data[:] = 1
    return counts


def context_matrix(context: ContextBatch, n_items: int) -> sparse.csr_matrix:
    """(batch, n_items) float32: 1 where the item is among the context's seen ones."""
    columns = context.seen.numpy() - 1
    return sparse.csr_matrix(
        (np.ones(len(columns), np.float32), columns, context.seen_offsets.numpy()), shape=(len(context), n_items)
    )
