"""Every kind of expert comes back from plain values and tensors."""

import json

import pytest
import torch

from recsys.errors import SnapshotError
from recsys.experts.kinds import KINDS, rebuilt
from recsys.experts.long_term import LongTermConfig, fit_long_term_memory
from recsys.experts.popularity import PopularityConfig, fit_popularity
from recsys.experts.repeat import RepeatConfig, RepeatExpert

N_ITEMS = 5


@pytest.fixture(params=["long_term", "decayed long_term", "popularity", "repeat"])
def expert(request, sequences):
    own = sequences([1, 2, 3], [2, 4, 2], [5])
    return {
        "long_term": lambda: fit_long_term_memory(own, N_ITEMS, LongTermConfig(ridge=1.0)),
        "decayed long_term": lambda: fit_long_term_memory(own, N_ITEMS, LongTermConfig(ridge=1.0, decay=0.5)),
        "popularity": lambda: fit_popularity(own, N_ITEMS, PopularityConfig(half_life_days=2.0)),
        "repeat": lambda: RepeatExpert(N_ITEMS, RepeatConfig(half_life_events=2.0, age="events")),
    }[request.param]()


def test_an_expert_is_rebuilt_from_its_settings_and_tensors(expert, contexts):
    again = rebuilt(expert.kind, json.loads(json.dumps(dict(expert.settings()))), expert.tensors())
    assert type(again) is type(expert)
    assert torch.equal(again.score(contexts([1, 2, 1], [], [4])), expert.score(contexts([1, 2, 1], [], [4])))
    assert again.settings() == expert.settings()


def test_only_estimates_of_probabilities_are_logarithmic():
    assert {name for name, kind in KINDS.items() if kind.logarithmic} == {"memory", "long_term", "content"}


def test_an_unknown_kind_is_told_with_the_known_ones():
    with pytest.raises(SnapshotError, match="kind 'oracle'; known are body, memory"):
        rebuilt("oracle", {}, {})


def test_weights_of_another_number_of_items_are_refused(sequences):
    fitted = fit_long_term_memory(sequences([1, 2]), N_ITEMS, LongTermConfig())
    with pytest.raises(ValueError, match="7 rows for padding and 5 items"):
        rebuilt("long_term", fitted.settings(), {"weights": torch.cat([fitted.weights, fitted.weights[:1]])})
