"""Small sequences in which the next item follows from the ones before it."""

from __future__ import annotations

import numpy as np
import pytest

from recsys.context.sequences import Sequences


@pytest.fixture
def sequences_of():
    """Makes sequences out of one list of item indices a user."""

    def make(rows) -> Sequences:
        return Sequences(
            tuple(map(str, range(len(rows)))),
            np.concatenate([[0], np.cumsum([len(row) for row in rows])]).astype(np.int64),
            np.concatenate([np.asarray(row, np.int64) for row in rows]),
            np.zeros(sum(map(len, rows)), np.int64),
            np.ones(sum(map(len, rows)), np.float32),
        )

    return make


@pytest.fixture
def two_tastes(sequences_of) -> Sequences:
    """80 users who each keep to one half of 30 items, in an order of their own, 5 to 12 events each."""
    rng = np.random.default_rng(0)
    return sequences_of([rng.permutation(15)[: rng.integers(5, 13)] + 1 + 15 * (user % 2) for user in range(80)])
