"""Both sides of a batch comparison: peers answer by their protocol or count as not there, ours share the users."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

from benchmarks.scale.asking import PEERS, NotReachedError, PeerError, PeerProcess
from benchmarks.scale.beside import measured_beside
from benchmarks.scale.drawn_users import DrawnUsers
from benchmarks.scale.handing import hand_over
from benchmarks.scale.variants import narrow, sparse
from benchmarks.scale.workers import Workers
from recsys.errors import ConfigError
from recsys.experts.memory import SequenceMemory
from recsys.experts.top_weights import TopWeights
from recsys.ranking.recommender import Recommender
from tests.benchmarks.conftest import N_ITEMS, tiny_dataset
from tests.benchmarks.shares import counting
from tests.ranking.large_models import ROWS, VOCABULARY, fitted_model, scoring_every_item

PYTHON = Path(sys.executable)
SETTINGS = {"threads": 1, "k": 4, "n_items": N_ITEMS, "seed": 0, "sample": 20, "factors": 8}

# Stands for a library: the first items that a user has not seen, in one call or user by user.
STAND_IN = """
import sys, time
sys.path.insert(0, %r)
import numpy as np
from rounds import answer_rounds, seen_items

class Library:
    packages = ("numpy",)
    about = {"model": "stand-in"}
    def __init__(self, events, settings):
        self.seen, self.k = seen_items(events, settings["n_items"]).toarray(), settings["k"]
    def ways(self):
        return {"fast": self.fast, "slow": self.slow}
    def fast(self, users):
        print("chatter")
        return %s
    def slow(self, users):
        time.sleep(0.3)
        return self.fast(users)
    def columns(self, found):
        return found

answer_rounds(Library)
"""
UNSEEN = "np.argsort(self.seen[users], axis=1, kind='stable')[:, :self.k] + 1"


class Turns:
    """Takes as long as it is told, turn by turn."""

    def __init__(self, seconds: Mapping[str, list[float]]) -> None:
        self.seconds = {name: list(own) for name, own in seconds.items()}

    def round(self, name: str = "peer") -> dict[str, Any]:
        seconds = self.seconds[name].pop(0)
        if seconds == float("inf"):
            raise NotReachedError("not reached in 9 seconds")
        return {"seconds": seconds, "recommended": 400}


@pytest.fixture
def handed(tmp_path):
    return hand_over(tmp_path / "handed", tiny_dataset().sequences, SETTINGS)


def library(folder: Path, columns: str = UNSEEN) -> Path:
    program = folder.parent / "library.py"
    program.write_text(STAND_IN % (str(PEERS), columns))
    return program


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    monkeypatch.setattr("benchmarks.scale.beside._PAUSE", 0.0)


def test_peers_get_every_event_in_its_order(handed):
    sequences = tiny_dataset().sequences
    events = pl.read_parquet(handed / "events.parquet").sort("user", "position")
    assert events["item"].to_list() == sequences.items.tolist()
    assert events.group_by("user", maintain_order=True).len()["len"].to_list() == sequences.lengths.tolist()
    assert events.filter(pl.col("user") == 3)["position"].to_list() == list(range(int(sequences.lengths[3])))


@pytest.mark.slow
def test_a_peer_is_measured_in_its_fastest_way_whatever_it_prints(handed):
    with PeerProcess(PYTHON, library(handed), handed, threads=1, cap=60) as peer:
        about = peer.about()
        rounds = [peer.round() for _ in range(2)]
    assert (about["way"], about["model"]) == ("fast", "stand-in")
    assert set(about["users_a_second_of_a_sample"]) == {"fast", "slow"}
    assert [(own["users"], own["recommended"]) for own in rounds] == [(60, 240)] * 2


@pytest.mark.slow
def test_a_peer_that_recommends_what_was_seen_is_refused(handed):
    with (
        PeerProcess(PYTHON, library(handed, UNSEEN.replace("self.seen", "-self.seen")), handed, 1, cap=60) as peer,
        pytest.raises(PeerError, match="a user who has seen it"),
    ):
        peer.about()


def test_a_peer_that_does_not_answer_in_time_is_not_reached(handed):
    program = handed.parent / "silent.py"
    program.write_text("import time; time.sleep(60)")
    with (
        PeerProcess(PYTHON, program, handed, threads=1, cap=0.2) as peer,
        pytest.raises(NotReachedError, match=r"not reached in 0\.2 seconds"),
    ):
        peer.about()


def test_without_its_environment_the_message_says_how_to_make_it(handed):
    with pytest.raises(ConfigError, match=r"benchmarks/peers/setup\.sh"):
        PeerProcess(Path("nowhere/python"), PEERS / "als.py", handed, threads=1, cap=1)


@pytest.mark.slow
def test_implicit_itself_keeps_to_the_protocol(handed):
    pytest.importorskip("implicit")
    with PeerProcess(PYTHON, PEERS / "als.py", handed, threads=1, cap=120) as peer:
        assert peer.about()["factors"] == 8
        assert peer.round()["recommended"] == 60 * 4


def test_speeds_are_medians_and_ratios_those_of_the_same_turn_and_the_first_turn_does_not_count():
    ours = Turns({"a": [9.0, 1.0, 2.0, 4.0], "b": [9.0, 4.0, 4.0, 4.0]})
    found = measured_beside(Turns({"peer": [90.0, 2.0, 2.0, 2.0]}), ours, ["a", "b"], users=100, rounds=3)
    assert found["ours"]["a"] == {"users_a_second": 50.0, "each": [100.0, 50.0, 25.0]}
    assert found["peer"]["users_a_second"] == 50.0
    assert found["ratios"]["a"] == {"median": 1.0, "lowest": 0.5, "highest": 2.0}
    assert found["ratios"]["b"]["median"] == 0.5
    assert found["items_recommended"] == {"a": 400, "b": 400, "peer": 400}


def test_a_peer_that_is_not_reached_leaves_ours_measured_and_is_not_asked_again():
    ours, peer = Turns({"a": [1.0, 1.0, 1.0]}), Turns({"peer": [float("inf")]})
    found = measured_beside(peer, ours, ["a"], users=100, rounds=2)
    assert found["peer"] == {"not_reached": "not reached in 9 seconds"}
    assert found["ours"]["a"]["users_a_second"] == 100.0
    assert "ratios" not in found


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
