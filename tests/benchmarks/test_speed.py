"""Training speed beside peers: everybody gets the same sequences and shape, takes turns, and is held to a bar."""

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest

from benchmarks.speed import contestants as who
from benchmarks.speed import ours, reaching
from benchmarks.speed.contestants import FULL, OURS, RECBOLE, RECTOOLS, SAMPLED, Bar, Contestant, contestants, shape
from benchmarks.speed.data import FIT, frame_of, sample, sequences_of, targets_of, workspace_of
from benchmarks.speed.ours import EnoughError, Laps
from benchmarks.speed.racing import BAR, cap_of, times_as_fast
from benchmarks.speed.reaching import Course, OverError
from benchmarks.speed.rounds import held_to, run_in_folder, summed_up, take_turns
from recsys.errors import ConfigError
from recsys.training.config import load_config
from tests.benchmarks.conftest import N_ITEMS, tiny_dataset

ROOT = Path(__file__).resolve().parents[2]

STAND_IN = """
import json, os, sys
from pathlib import Path
folder = Path(sys.argv[1])
settings = json.loads((folder / "settings.json").read_text())
if settings["seconds"] < 0:
    sys.exit("no time at all")
found = {"targets": settings["own"], "seconds": 2.0, "items": (folder / "fit.parquet").stat().st_size,
         "versions": {"threads": os.environ["OMP_NUM_THREADS"]}}
(folder / "speed.json").write_text(json.dumps(found))
"""


def contestant(team: str, loss: str = FULL, variant: str = "one", **settings) -> Contestant:
    return Contestant(team, loss, variant, settings)


def test_everybody_reads_the_same_sequences():
    sequences = tiny_dataset().sequences
    back = sequences_of(frame_of(sequences))
    assert back.offsets.tolist() == sequences.offsets.tolist()
    assert back.items.tolist() == sequences.items.tolist()
    assert frame_of(sequences).filter(pl.col("user") == 3)["position"].to_list() == list(range(sequences.lengths[3]))


def test_users_without_anything_to_predict_are_not_drawn():
    sequences = tiny_dataset().sequences
    single = sequences.without_last(np.where(np.arange(60) < 50, sequences.lengths - 1, 0))
    assert sorted(sample(single, 0, seed=0).user_ids) == [str(user) for user in range(50, 60)]
    drawn = sample(sequences, 7, seed=0)
    assert len(set(drawn.user_ids)) == 7
    assert drawn.user_ids == sample(sequences, 7, seed=0).user_ids != sample(sequences, 7, seed=1).user_ids
    assert targets_of(drawn) == len(drawn.items) - 7


def test_a_folder_without_events_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"no events\.parquet"):
        workspace_of(tmp_path, tmp_path)


def test_other_events_are_another_workspace(tmp_path):
    (tmp_path / "films").mkdir()
    homes = []
    for last in (1, 2, 2):
        events = {"user_id": ["ann", "ann", "bob"], "item_id": ["a", "b", "a"], "position": [0, last, 0]}
        pl.DataFrame(events).write_parquet(tmp_path / "films" / "events.parquet")
        homes.append(workspace_of(tmp_path / "films", tmp_path / "work").home)
    assert homes[0] != homes[1] == homes[2]


NAMES = {
    OURS: ("width", "layers", "heads", "length", "dropout"),
    RECTOOLS: ("n_factors", "n_blocks", "n_heads", "session_max_len", "dropout_rate"),
    RECBOLE: ("hidden_size", "n_layers", "n_heads", "MAX_ITEM_LIST_LENGTH", "hidden_dropout_prob"),
}


def test_all_have_the_shape_of_the_default_configuration():
    body = load_config().body
    expected = [body.width, body.layers, body.heads, body.length, body.dropout]
    assert list(shape().values()) == expected
    for own in contestants(3_000):
        settings = own.settings["body" if own.team == OURS else "model"]
        assert [settings[name] for name in NAMES[own.team]] == expected


def test_losses_of_a_name_see_as_many_items():
    negatives = {}
    for own in contestants(3_000):
        settings = own.settings["body_training"] if own.team == OURS else own.settings["model"]
        negatives.setdefault((own.team, own.loss), set()).add(settings.get("negatives", settings.get("n_negatives")))
    assert negatives[OURS, FULL] == {3_000}
    assert negatives[RECTOOLS, FULL] == negatives[RECBOLE, FULL] == {None}, "their full softmax draws nothing"
    assert negatives[OURS, SAMPLED] == negatives[RECTOOLS, SAMPLED] == {512}


def test_they_take_turns_and_who_failed_is_not_asked_again():
    asked = []

    def run(own: Contestant) -> dict[str, object]:
        asked.append(own.team)
        return {"failed": "broken"} if own.team == RECBOLE else {"targets": 10 * len(asked), "seconds": 1.0}

    measured = take_turns([contestant(team) for team in (OURS, RECTOOLS, RECBOLE)], 3, run, say=lambda _: None)
    assert asked == [OURS, RECTOOLS, RECBOLE, RECTOOLS, OURS, OURS, RECTOOLS]
    assert [len(found) for found in measured.values()] == [3, 3, 1]


def entry(team: str, rate: float, loss: str = FULL, variant: str = "one") -> dict[str, object]:
    return {"team": team, "loss": loss, "name": f"{team} {variant}", "targets_per_second": rate}


def test_the_product_is_held_to_the_fastest_variant_of_a_peer():
    entries = [
        entry(OURS, 30.0),
        entry(OURS, 90.0, variant="two"),
        entry(RECTOOLS, 10.0),
        entry(RECTOOLS, 20.0, variant="two"),
        entry(RECTOOLS, 99.0, loss=SAMPLED),
        {"team": RECBOLE, "loss": FULL, "failed": "broken"},
    ]
    found = held_to(Bar(RECTOOLS, FULL, 1.5), entries)
    assert (found["ratio"], found["met"], found["theirs"]) == (1.5, True, "RecTools two")
    assert held_to(Bar(RECTOOLS, FULL, 1.6), entries)["met"] is False
    assert held_to(Bar(RECBOLE, FULL, 20.0), entries)["ratio"] is None
    assert held_to(Bar(RECTOOLS, SAMPLED, 1.5), entries)["met"] is None


def test_rates_are_medians_over_rounds():
    own, broken = contestant(OURS), contestant(RECBOLE)
    rounds = [{"targets": targets, "seconds": 2.0, "items": 9, "versions": {}} for targets in (2, 20, 8)]
    entries = summed_up([own, broken], {own.name: rounds, broken.name: [{"failed": "why"}]})
    assert entries[0]["rates"] == [1.0, 10.0, 4.0]
    assert entries[0]["targets_per_second"] == 4.0
    assert entries[1]["failed"] == "why"
    assert "targets_per_second" not in entries[1]


@pytest.fixture
def stand_in(tmp_path, monkeypatch):
    """Puts a program in a contestant's place and gives the file of sequences."""
    (tmp_path / "stand_in.py").write_text(STAND_IN)
    monkeypatch.setitem(who._PROGRAMS, OURS, (Path(sys.executable), tmp_path / "stand_in.py"))
    frame_of(tiny_dataset().sequences).write_parquet(tmp_path / FIT)
    return tmp_path / FIT


def test_a_program_is_given_file_settings_and_threads(stand_in, tmp_path):
    shared = {"threads": 3, "seconds": 1.0}
    found = run_in_folder(contestant(OURS, own=77), shared, stand_in, tmp_path / "run", minutes=1)
    assert found == {"targets": 77, "seconds": 2.0, "items": stand_in.stat().st_size, "versions": {"threads": "3"}}
    assert not (tmp_path / "run").exists()


def test_why_a_program_failed_is_kept(stand_in, tmp_path):
    found = run_in_folder(contestant(OURS), {"threads": 1, "seconds": -1}, stand_in, tmp_path / "run", minutes=1)
    assert "no time at all" in found["failed"]


@pytest.mark.slow
def test_ours_counts_the_targets_of_the_epochs_that_it_timed(tmp_path):
    sequences = tiny_dataset().sequences
    frame_of(sequences).write_parquet(tmp_path / FIT)
    body = {"width": 8, "heads": 1, "layers": 1, "length": 5}
    training = {"epochs": 50, "batch_events": 100, "negatives": 4, "precision": "float32"}
    told = {"threads": 1, "seconds": 0.0, "seed": 0, "n_items": N_ITEMS, "body": body, "body_training": training}
    (tmp_path / "settings.json").write_text(json.dumps(told))
    subprocess.run([sys.executable, ours.__file__, str(tmp_path)], check=True, capture_output=True)
    found = json.loads((tmp_path / "speed.json").read_text())
    assert found["epochs"] == 1
    assert found["targets"] == len(sequences.items) - len(sequences)
    assert found["seconds"] > 0


@pytest.fixture
def clock(monkeypatch):
    """A clock that tests move."""
    told = SimpleNamespace(now=100.0)
    for module in (ours, reaching):
        monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: told.now))
    return told


def test_the_first_epoch_is_not_timed(clock):
    laps = Laps(5.0)
    laps.end()
    clock.now += 4
    laps.end()
    clock.now += 2
    with pytest.raises(EnoughError):
        laps.end()
    assert laps.taken == 6


def test_the_clock_stands_still_while_cases_are_ranked(clock):
    told = []

    def judge(scorer) -> float:
        clock.now += 1_000
        return scorer

    course = Course(0.5, 50.0, judge, told.append)
    clock.now += 10
    course.judged(0.2)
    clock.now += 20
    with pytest.raises(OverError):
        course.judged(0.5)
    assert told[-1] == {
        "reached_seconds": 30.0,
        "curve": [{"seconds": 10.0, "ndcg@10": 0.2}, {"seconds": 30.0, "ndcg@10": 0.5}],
    }


def test_a_course_is_over_when_its_seconds_are(clock):
    course = Course(0.5, 15.0, lambda scorer: 0.1, lambda _: None)
    clock.now += 15
    with pytest.raises(OverError):
        course.judged(None)
    assert course.reached is None


def test_a_peer_has_twenty_minutes_or_twenty_times_our_seconds():
    assert cap_of(None) == cap_of(10.0) == 1_200
    assert cap_of(100.0) == 100 * BAR


def test_a_peer_that_did_not_arrive_took_at_least_its_cap():
    arrived, not_there = {"reached_seconds": 50.0}, {"reached_seconds": None}
    assert times_as_fast(arrived, {"reached_seconds": 500.0}, 1_200) == {"ratio": 10.0, "at_least": False, "met": False}
    assert times_as_fast(arrived, not_there, 1_200) == {"ratio": 24.0, "at_least": True, "met": True}
    assert times_as_fast(not_there, {"reached_seconds": 500.0}, 1_200) is None


@pytest.mark.slow
def test_tables_take_turns_on_the_same_rows(tmp_path):
    sizes = ["--rows", "500", "--width", "8", "--lookups", "40", "--rounds", "2", "--steps", "3", "--dense-steps", "2"]
    script = [sys.executable, str(ROOT / "benchmarks" / "tables.py")]
    subprocess.run([*script, *sizes, "--out", str(tmp_path / "tables.json")], check=True, capture_output=True)
    found = json.loads((tmp_path / "tables.json").read_text())
    assert {name: own["calls"] for name, own in found["figures"].items()} == {"fused": 6, "sparse": 6, "dense": 4}
    assert set(found["times_as_fast_as"]) == {"sparse", "dense"}
