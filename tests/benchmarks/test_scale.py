"""Turns of a peer and ours, our processes and their users, and the forms of our model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch

from benchmarks.scale.asking import NotReachedError
from benchmarks.scale.beside import measured_beside
from benchmarks.scale.drawn_users import DrawnUsers
from benchmarks.scale.variants import narrow, sparse
from benchmarks.scale.workers import Workers
from recsys.experts.memory import SequenceMemory
from recsys.experts.top_weights import TopWeights
from recsys.ranking.recommender import Recommender
from tests.benchmarks.conftest import N_ITEMS, tiny_dataset
from tests.benchmarks.shares import counting
from tests.ranking.large_models import ROWS, VOCABULARY, fitted_model, scoring_every_item


class Turns:
    """Takes as long as it is told, turn by turn."""

    def __init__(self, seconds: Mapping[str, list[float]]) -> None:
        self.seconds = {name: list(own) for name, own in seconds.items()}
        self.stopped = False

    def round(self, name: str = "peer") -> dict[str, Any]:
        seconds = self.seconds[name].pop(0)
        if seconds == float("inf"):
            raise NotReachedError(9)
        return {"seconds": seconds, "recommended": 400}

    def stop(self) -> None:
        self.stopped = True


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    monkeypatch.setattr("benchmarks.scale.beside._PAUSE", 0.0)


def test_speeds_are_medians_and_ratios_those_of_the_same_turn_and_the_first_turn_does_not_count():
    ours = Turns({"a": [9.0, 1.0, 2.0, 4.0], "b": [9.0, 4.0, 4.0, 4.0]})
    found = measured_beside(Turns({"peer": [90.0, 2.0, 2.0, 2.0]}), ours, ["a", "b"], users=100, rounds=3)
    assert found["ours"]["a"] == {"users_a_second": 50.0, "each": [100.0, 50.0, 25.0]}
    assert found["peer"]["users_a_second"] == 50.0
    assert found["ratios"]["a"] == {"median": 1.0, "lowest": 0.5, "highest": 2.0}
    assert found["ratios"]["b"]["median"] == 0.5
    assert found["items_recommended"] == {"a": 400, "b": 400, "peer": 400}


def test_a_peer_that_is_not_reached_is_stopped_and_leaves_ours_measured_and_a_ratio_at_least():
    ours, peer = Turns({"a": [1.0, 1.0, 1.0]}), Turns({"peer": [float("inf")]})
    found = measured_beside(peer, ours, ["a"], users=100, rounds=2)
    assert found["peer"] == {"not_reached": "not reached in 9 seconds", "users_a_second_at_most": 11.1}
    assert found["ours"]["a"]["users_a_second"] == 100.0
    assert found["ratios"]["a"] == {"median": 9.0, "lowest": 9.0, "highest": 9.0, "at_least": True}
    assert peer.stopped


def test_good_turns_before_a_peer_was_over_its_cap_count():
    ours, peer = Turns({"a": [1.0, 1.0, 2.0, 2.0]}), Turns({"peer": [4.0, 4.0, 6.0, float("inf")]})
    found = measured_beside(peer, ours, ["a"], users=100, rounds=3)
    assert found["peer"]["each"] == [25.0, 16.7]
    assert found["peer"]["not_reached"] == "not reached in 9 seconds"
    assert found["ratios"]["a"] == {"median": 3.5, "lowest": 3.0, "highest": 4.0}


def test_a_peer_alone_that_is_not_there_leaves_no_ratio():
    found = measured_beside(None, Turns({"a": [1.0, 1.0]}), ["a"], users=100, rounds=1)
    assert "ratios" not in found
    assert "peer" not in found


@pytest.mark.slow
def test_processes_share_the_users_and_a_failure_in_one_is_told():
    with Workers(counting, 3) as workers:
        assert workers.round("count")["recommended"] == 10
        assert workers.round("count")["recommended"] == 10
        with pytest.raises(ValueError, match="no such thing"):
            workers.round("fail")


def dense_recommender() -> Recommender:
    """With a memory whose rows hold 20 weights, all of them there."""
    recommender = scoring_every_item(fitted_model())
    memory = recommender.model.network.others["memory"]
    assert isinstance(memory, SequenceMemory)
    assert isinstance(memory.weights, TopWeights)
    recommender.model.network.others["memory"] = SequenceMemory(memory.weights.dense(), memory.decays, memory.windows)
    return recommender


def test_memories_that_keep_all_that_is_in_a_row_score_alike_and_shorter_ones_do_not():
    dense = dense_recommender()
    torch.testing.assert_close(sparse(dense, 20).score(ROWS), dense.score(ROWS), rtol=1e-4, atol=1e-4)
    fewer = sparse(dense, 5)
    weights = fewer.model.network.others["memory"].weights
    assert isinstance(weights, TopWeights)
    assert int(weights.offsets.diff(dim=1).max()) == 5
    assert not torch.allclose(fewer.score(ROWS), dense.score(ROWS), rtol=1e-4, atol=1e-4)


def test_a_narrow_body_says_nearly_the_same_in_float32():
    recommender = scoring_every_item(fitted_model())
    scores = narrow(recommender).score(ROWS)
    assert scores.dtype == torch.float32
    assert not torch.equal(scores, recommender.score(ROWS))
    torch.testing.assert_close(scores, recommender.score(ROWS), rtol=0.1, atol=0.2)


def test_drawn_users_have_a_beginning_of_a_real_history_with_kin_in_the_place_of_items():
    sequences = tiny_dataset().sequences
    kin = np.concatenate([np.arange(N_ITEMS), np.random.default_rng(0).integers(0, N_ITEMS, 500)])
    users = DrawnUsers(sequences.offsets, sequences.items, kin, VOCABULARY[: len(kin)])
    number = {item: column for column, item in enumerate(VOCABULARY)}
    rows = users.as_of([str(n) for n in range(200)], [0] * 200)
    assert users.as_of(["7"], [5]) == [rows[7]]
    for n, row in enumerate(rows):
        own = sequences.items[sequences.offsets[n % 60] : sequences.offsets[n % 60 + 1]]
        replaced = [kin[number[item]] + 1 for item in row.history_items]
        assert replaced == own[: len(replaced)].tolist()
        assert 5 <= row.event_count == sum(row.seen_counts) == len(row.history_items)
        assert set(row.seen_items) == set(row.history_items)
    assert any(number[item] >= N_ITEMS for row in rows for item in row.history_items)
