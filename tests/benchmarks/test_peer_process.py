"""Peers answer by their protocol, or count as not there and are ended with all that they started."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import polars as pl
import psutil
import pytest

from benchmarks.scale.asking import PEERS, NotReachedError, PeerError, PeerProcess
from benchmarks.scale.handing import hand_over
from recsys.errors import ConfigError
from tests.benchmarks.conftest import N_ITEMS, tiny_dataset

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


@pytest.fixture
def handed(tmp_path):
    return hand_over(tmp_path / "handed", tiny_dataset().sequences, SETTINGS)


def library(folder: Path, columns: str = UNSEEN) -> Path:
    program = folder.parent / "library.py"
    program.write_text(STAND_IN % (str(PEERS), columns))
    return program


def over(process: psutil.Process, seconds: float = 10) -> bool:
    """Whether a process ends in time; nobody may be there to bury it."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if not process.is_running() or process.status() == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(0.05)
    return False


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


@pytest.mark.slow
def test_a_peer_is_ended_with_the_processes_that_it_started(handed):
    program = handed.parent / "parent.py"
    program.write_text(
        "import subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        "print('{\"child\": %d}' % child.pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    with PeerProcess(PYTHON, program, handed, threads=1, cap=30) as peer:
        child = psutil.Process(peer.about()["child"])
        peer.stop()
        peer.stop()
        assert over(child)


# Stands for RecBole: an item's score is its number, whatever the sequence.
LIBRARY = {
    "config": """
class Config(dict):
    def __init__(self, model, dataset, config_dict):
        super().__init__({"inner_size": 256, **config_dict})
""",
    "data/interaction": """
class Interaction(dict):
    pass
""",
    "model/sequential_recommender/sasrec": """
import os
import torch

class SASRec(torch.nn.Module):
    ITEM_SEQ, ITEM_SEQ_LEN = "items", "lengths"
    def __init__(self, config, dataset):
        super().__init__()
        self.n_items = dataset.num("item")
    def full_sort_predict(self, interaction):
        with open("used", "a") as told:
            told.write(f"{os.getpid()} {torch.get_num_threads()} {len(interaction['items'])}\\n")
        return torch.arange(float(self.n_items)).repeat(len(interaction["items"]), 1)
""",
}


@pytest.fixture
def recbole(handed, monkeypatch):
    """RecBole's peer with the stand-in in the library's place; gives the program."""
    packages = handed.parent / "packages"
    for name, text in LIBRARY.items():
        module = packages / "recbole" / f"{name}.py"
        module.parent.mkdir(parents=True, exist_ok=True)
        module.write_text(text)
        for folder in (module.parent, module.parent.parent, packages / "recbole"):
            (folder / "__init__.py").touch()
    (packages / "recbole-9.dist-info").mkdir()
    (packages / "recbole-9.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: recbole\nVersion: 9\n")
    monkeypatch.setenv("PYTHONPATH", str(packages))
    return PEERS / "recbole_scores.py"


@pytest.mark.slow
def test_recbole_may_take_as_many_processes_as_there_are_threads_at_equal_width(tmp_path, recbole):
    shape = {"length": 6, "hidden_size": 8, "n_layers": 1, "n_heads": 1}
    folder = hand_over(tmp_path / "two", tiny_dataset().sequences, {**SETTINGS, **shape, "threads": 2, "sample": 60})
    with PeerProcess(PYTHON, recbole, folder, threads=2, cap=120) as peer:
        about, done = peer.about(), peer.round()
    ways = set(about["users_a_second_of_a_sample"])
    assert {way.split(", ")[1] for way in ways} == {"1 process", "2 processes"}
    assert (about["hidden_size"], about["inner_size"]) == (8, 8)
    assert done["recommended"] == 60 * 4
    used = {tuple(line.split()[:2]) for line in (folder / "used").read_text().splitlines()}
    assert sorted(threads for _, threads in used) == ["1", "1", "2"]
