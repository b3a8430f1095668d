"""A benchmark on a few made-up users, with no workspace behind it."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from benchmarks.units.bench import Bench
from recsys.context.sequences import Sequences
from recsys.workspace import Workspace

N_ITEMS = 30


def tiny_dataset(users: int = 60, seed: int = 0) -> SimpleNamespace:
    """Users who keep to one half of the items; what units ask of a data set and no more."""
    rng = np.random.default_rng(seed)
    rows = [rng.permutation(15)[: rng.integers(5, 13)] + 1 + 15 * (user % 2) for user in range(users)]
    lengths = [len(row) for row in rows]
    sequences = Sequences(
        tuple(map(str, range(users))),
        np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        np.concatenate(rows).astype(np.int64),
        np.zeros(sum(lengths), np.int64),
        np.ones(sum(lengths), np.float32),
    )
    return SimpleNamespace(
        sequences=sequences,
        vocabulary=tuple(map(str, range(N_ITEMS))),
        schema=SimpleNamespace(repeats=False, baskets=False),
    )


def basket_dataset() -> SimpleNamespace:
    """40 households who buy two of their own six items a week, for a year."""
    rng = np.random.default_rng(0)
    weeks = 52
    rows = [np.concatenate([rng.permutation(6)[:2] + 1 + 6 * (user % 4) for _ in range(weeks)]) for user in range(40)]
    sequences = Sequences(
        tuple(map(str, range(40))),
        np.arange(41, dtype=np.int64) * 2 * weeks,
        np.concatenate(rows).astype(np.int64),
        np.tile(np.repeat(np.arange(1, weeks + 1, dtype=np.int64) * 7 * 86_400_000_000, 2), 40),
        np.ones(40 * 2 * weeks, np.float32),
    )
    return SimpleNamespace(
        sequences=sequences,
        vocabulary=tuple(map(str, range(24))),
        schema=SimpleNamespace(repeats=True, baskets=True),
    )


@pytest.fixture
def make_bench(tmp_path):
    """Makes a benchmark; the same folders each time."""

    def make(split="validation", dataset=None) -> Bench:
        bench = Bench(Workspace.named("tiny"), split, tmp_path / "results", tmp_path / "work")
        bench.__dict__["dataset"] = dataset or tiny_dataset()
        return bench

    return make
