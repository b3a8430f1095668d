"""A benchmark on a few made-up users, with no workspace behind it."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from benchmarks.units.bench import Bench
from recsys.context.sequences import Sequences
from recsys.experts.body import BodyExpert, SequenceEncoder
from recsys.training.attributes import ItemAttributes
from recsys.training.config import TrainConfig, load_config
from recsys.training.distributed import BodyRun
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
        schema=SimpleNamespace(repeats=False, baskets=False, clock=False),
    )


def clock_dataset(seed: int = 0) -> SimpleNamespace:
    """60 users with ten events each in 100 days; at any time six items are in fashion, and fashions pass."""
    rng = np.random.default_rng(seed)
    users, events = 60, 10
    days = np.sort(rng.uniform(0, 100, (users, events)), axis=1)
    items = 1 + (days * (N_ITEMS - 6) / 100).astype(np.int64) + rng.integers(0, 6, (users, events))
    sequences = Sequences(
        tuple(map(str, range(users))),
        np.arange(users + 1, dtype=np.int64) * events,
        items.ravel(),
        (days.ravel() * 86_400_000_000).astype(np.int64),
        np.ones(users * events, np.float32),
    )
    again = np.tril(items[:, :, None] == items[:, None, :], -1).any(2).ravel()
    return SimpleNamespace(
        sequences=sequences.keep(~again),
        vocabulary=tuple(map(str, range(N_ITEMS))),
        schema=SimpleNamespace(repeats=False, baskets=False, clock=True),
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
        schema=SimpleNamespace(repeats=True, baskets=True, clock=True),
    )


@pytest.fixture
def make_bench(tmp_path):
    """Makes a benchmark; the same folders each time."""

    def make(split="validation", dataset=None) -> Bench:
        bench = Bench(Workspace.named("tiny"), split, tmp_path / "results", tmp_path / "work")
        bench.__dict__["dataset"] = dataset or tiny_dataset()
        return bench

    return make


def with_what_models_need(dataset: SimpleNamespace) -> SimpleNamespace:
    """The same data set with what training asks beside events: no profiles, no attributes."""
    n_items = len(dataset.vocabulary)
    return SimpleNamespace(
        sequences=replace(dataset.sequences, baskets=dataset.schema.baskets),
        vocabulary=dataset.vocabulary,
        schema=dataset.schema,
        attributes=ItemAttributes.none(n_items),
        profile_encoding=lambda: None,
        encoded_profiles=lambda _: np.zeros((len(dataset.sequences), 0), np.float32),
    )


@pytest.fixture
def make_model_bench(make_bench):
    """Makes a benchmark that models can be fitted on; single targets unless a data set is given."""

    def make(split="validation", dataset=None) -> Bench:
        return make_bench(split, with_what_models_need(dataset or tiny_dataset()))

    return make


TINY = (
    "body.width=8",
    "body.heads=1",
    "body.layers=1",
    "body.length=6",
    "head.hidden=8",
    "head.rank=2",
    "generator.epochs=2",
    "generator.hold_out=users",
    "generator.held_out_users=0.25",
    "generator.targets_per_user=5",
    "memories.memory.ridges=[5.0, 5.0]",
)


def tiny_config(*more: str) -> TrainConfig:
    """A configuration that is fitted in a moment."""
    return load_config(overrides=[*TINY, *more])


@pytest.fixture
def body_fits(monkeypatch):
    """Puts a body of random items in the place of the one that needs Ray, and the tiny configuration in the units.

    Gives the seeds that a body was fitted with, in order.
    """
    fits: list[int] = []

    def body(sequences, attributes, settings, progress, *, clock):
        fits.append(settings.seed)
        torch.manual_seed(settings.seed)
        items = torch.randn(attributes.n_items + 1, settings.body.width)
        items[0] = 0
        return BodyRun(BodyExpert(SequenceEncoder(settings.body.model_copy(update={"clock": clock})), items), (1.5,))

    monkeypatch.setattr("benchmarks.units.stages.fit_body_expert", body)
    monkeypatch.setattr("benchmarks.units.heads.configuration", lambda _: tiny_config())
    monkeypatch.setattr("benchmarks.units.fine_tuned.configuration", lambda _: tiny_config())
    monkeypatch.setattr("benchmarks.units.temporal.configuration", lambda _: tiny_config())
    return fits
