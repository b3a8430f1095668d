"""How much an event counts reaches what is fitted."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from recsys.context.sequences import Sequences
from recsys.experts.memory import MemoryConfig, fit_sequence_memory
from recsys.experts.popularity import PopularityConfig, fit_popularity

N_ITEMS = 3
CONFIG = MemoryConfig(decays=(0.0,), windows=(1,), ridges=(2.0,))


def sequences(values: list[float]) -> Sequences:
    items = np.array([1, 2, 1, 3], dtype=np.int64)
    weights = np.array(values, dtype=np.float32)
    return Sequences(("a", "b"), np.array([0, 2, 4]), items, np.zeros(4, np.int64), weights)


def test_the_memory_pulls_harder_towards_an_event_that_counts_more() -> None:
    even = fit_sequence_memory(sequences([1, 1, 1, 1]), N_ITEMS, CONFIG).weights[0, 1]
    uneven = fit_sequence_memory(sequences([1, 3, 1, 1]), N_ITEMS, CONFIG).weights[0, 1]
    # One column, gram = sum of weights + ridge: (1+1+2), then (3+1+2).
    torch.testing.assert_close(even, torch.tensor([0.0, 1 / 4, 1 / 4]))
    torch.testing.assert_close(uneven, torch.tensor([0.0, 3 / 6, 1 / 6]))


def test_popularity_sums_the_weights() -> None:
    counted = fit_popularity(sequences([1, 3, 2, 0.5]), N_ITEMS, PopularityConfig()).log_counts
    torch.testing.assert_close(counted, torch.log1p(torch.tensor([3.0, 3.0, 0.5])))


def test_an_item_of_weightless_events_is_as_good_as_unseen() -> None:
    whole = sequences([1, 1, 1, 0])
    without = replace(whole, offsets=np.array([0, 2, 3]), items=whole.items[:3], values=whole.values[:3])
    counted = fit_popularity(whole, N_ITEMS, PopularityConfig()).log_counts
    assert torch.equal(counted, fit_popularity(without, N_ITEMS, PopularityConfig()).log_counts)
