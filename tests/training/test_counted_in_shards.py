"""Shards of users are disjoint and whole, and what they count adds up."""

from __future__ import annotations

from contextlib import nullcontext

import numpy as np
import pytest
import torch

from recsys.cluster import ADDRESS_VARIABLE
from recsys.experts.counting import by_events
from recsys.experts.long_term import LongTermConfig
from recsys.experts.memory import MemoryConfig, fit_sequence_memory
from recsys.training import counted_in_shards as module
from recsys.training.counted_in_shards import shards_here

N_ITEMS = 6
SMALL = MemoryConfig(ridges=(2.0, 3.0), windows=(2, 4))


@pytest.fixture
def sequences(make_sequences):
    rng = np.random.default_rng(7)
    return make_sequences(*(list(rng.integers(1, N_ITEMS + 1, rng.integers(0, 12))) for _ in range(30)))


@pytest.mark.parametrize("shards", [1, 2, 3, 7, 29, 30, 31, 500])
def test_every_user_is_in_one_shard_with_all_events(sequences, shards):
    parts = by_events(sequences, shards)
    assert len(parts) <= min(shards, len(sequences))
    assert [user for part in parts for user in part.user_ids] == list(sequences.user_ids)
    assert np.array_equal(np.concatenate([part.items for part in parts]), sequences.items)
    assert all(len(part) for part in parts)


def test_shards_have_about_as_many_events_each(make_sequences):
    parts = by_events(make_sequences(*([1] * length for length in (50, 1, 1, 1, 1, 46, 50))), 3)
    assert [len(part.items) for part in parts] == [50, 50, 50]


@pytest.fixture
def here(monkeypatch):
    """Tasks run in this process, one after another."""
    monkeypatch.setattr(module, "ray_cluster", nullcontext)
    monkeypatch.setattr(module, "_in_order", lambda parts, count: map(count, parts))


@pytest.mark.parametrize("shards", [1, 2, 5, 30])
def test_memories_from_shards_are_those_from_everything(sequences, here, shards):
    whole = fit_sequence_memory(sequences, N_ITEMS, SMALL)
    own = module.fit_sequence_memory_in_shards(sequences, N_ITEMS, SMALL, None, shards)
    torch.testing.assert_close(own.weights, whole.weights, rtol=1e-5, atol=1e-5)
    long_term = module.fit_long_term_memory_in_shards(sequences, N_ITEMS, LongTermConfig(ridge=2.0), shards)
    plain = module.fit_long_term_memory_in_shards(sequences, N_ITEMS, LongTermConfig(ridge=2.0), 1)
    assert torch.equal(long_term.weights, plain.weights)


def test_without_a_cluster_nothing_is_cut_unless_configured(monkeypatch):
    monkeypatch.delenv(ADDRESS_VARIABLE, raising=False)
    assert shards_here(None) == 1
    assert shards_here(5) == 5
    monkeypatch.setenv(ADDRESS_VARIABLE, "127.0.0.1:1")
    assert shards_here(3) == 3
