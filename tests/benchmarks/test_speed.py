"""Training speed beside peers: everybody gets the same sequences and shape, takes turns, and is held to a bar."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest

from benchmarks.speed import contestants as who
from benchmarks.speed import ours, reaching
from benchmarks.speed.contestants import (
    BARS,
    FULL,
    OURS,
    RECBOLE,
    RECTOOLS,
    SAMPLED,
    Bar,
    Contestant,
    contestants,
    shape,
)
from benchmarks.speed.data import FIT, frame_of, sample, sequences_of, targets_of, workspace_of
from benchmarks.speed.ours import EnoughError, Laps
from benchmarks.speed.racing import BAR, cap_of, judged, times_as_fast
from benchmarks.speed.reaching import Course, OverError
from benchmarks.speed.rounds import going_on, held_to, run_in_folder, summed_up, take_turns
from benchmarks.speed.trained import targets_trained
from recsys.errors import ConfigError
from recsys.experts.body import BodyConfig
from recsys.training.alone import _world_of_one, fit_body_alone
from recsys.training.attributes import ItemAttributes
from recsys.training.config import TrainConfig, load_config
from recsys.training.loop import fit_body
from recsys.training.windows import as_tensors, body_windows, dealt, steps_of_an_epoch
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


def test_after_the_first_round_the_fastest_variant_of_a_peer_goes_on_and_our_first():
    rates = {(OURS, "one"): 1.0, (OURS, "two"): 9.0, (RECTOOLS, "one"): 2.0, (RECTOOLS, "two"): 3.0}
    asked = []

    def run(own: Contestant) -> dict[str, object]:
        asked.append((own.team, own.variant))
        return {"targets": rates[own.team, own.variant], "seconds": 1.0}

    everybody = [contestant(team, variant=variant) for team, variant in rates]
    measured = take_turns(everybody, 3, run, say=lambda _: None)
    assert asked[:4] == list(rates)
    assert asked[4:] == [(RECTOOLS, "two"), (OURS, "one"), (OURS, "one"), (RECTOOLS, "two")]
    assert [len(found) for found in measured.values()] == [3, 1, 1, 3]


def test_the_fastest_of_each_loss_goes_on():
    everybody = [contestant(RECTOOLS, loss=loss, variant=variant) for loss in (FULL, SAMPLED) for variant in "ab"]
    measured = {own.name: [{"targets": 2.0 if own.variant == "b" else 1.0, "seconds": 1.0}] for own in everybody}
    assert [(own.loss, own.variant) for own in going_on(everybody, measured)] == [(FULL, "b"), (SAMPLED, "b")]


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


def test_a_ratio_between_unequal_losses_is_held_to_nothing():
    entries = [entry(OURS, 30.0, loss=SAMPLED), entry(RECTOOLS, 10.0, loss=SAMPLED)]
    found = held_to(next(bar for bar in BARS if bar.loss == SAMPLED), entries)
    assert found["ratio"] == 3.0
    assert {"met", "bar"}.isdisjoint(found)


def test_peers_are_tried_with_larger_batches_and_recbole_without_dropout_of_attention():
    of_recbole = [own.settings["model"] for own in contestants(3_000) if own.team == RECBOLE]
    assert {model["train_batch_size"] for model in of_recbole} == {64, 256}
    assert {model["attn_dropout_prob"] for model in of_recbole} == {0.0, shape()["dropout"]}
    assert {model["inner_size"] for model in of_recbole} == {shape()["width"]}


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
    assert times_as_fast(arrived, {"reached_seconds": 500.0}, 1_200) == {"ratio": 10.0, "at_least": False}
    assert times_as_fast(arrived, not_there, 1_200) == {"ratio": 24.0, "at_least": True}
    assert times_as_fast(not_there, {"reached_seconds": 500.0}, 1_200) is None


def test_one_way_alone_is_held_to_the_bar_of_quality():
    assert judged({"ratio": 24.0, "at_least": True}) == {
        "bar": BAR,
        "way": "memory",
        "ratio": 24.0,
        "at_least": True,
        "met": True,
    }
    assert judged({"ratio": 19.9, "at_least": False})["met"] is False
    assert judged(None) == {"bar": BAR, "way": "memory", "ratio": None, "met": False}


@pytest.fixture
def steps_taken(monkeypatch):
    """What the loop draws, epoch by epoch: the ranks of its steps, and how many targets they take."""
    taken: list[tuple[list[float], int]] = []

    def steps(lengths, events, ranks, generator):
        found = steps_of_an_epoch(lengths, events, ranks, generator)
        taken.append((ranks.tolist(), sum(int((lengths[rows] - 1).sum()) for rows in found)))
        return found

    monkeypatch.setattr("recsys.training.loop.steps_of_an_epoch", steps)
    return taken


SMALL_BODY = {"width": 8, "heads": 1, "layers": 1, "length": 5}


def test_targets_of_one_worker_are_counted_as_the_loop_takes_them(steps_taken):
    sequences, config = tiny_dataset().sequences, a_few_epochs()
    told = TrainConfig.model_validate({"seed": 3, "body": SMALL_BODY, "body_training": config.model_dump()})
    fit_body_alone(sequences, ItemAttributes.none(N_ITEMS), told, clock=False)
    assert [targets for _, targets in steps_taken] == targets_trained(body_windows(sequences, 5), 1, config, seed=3)


def test_targets_of_two_workers_are_counted_as_their_loops_take_them(steps_taken, monkeypatch):
    """Both take windows of like length at the same time, in another order each epoch."""
    monkeypatch.setattr("recsys.training.loop.gathered_body", lambda *_: None)  # the other worker is not there
    windows, config = body_windows(tiny_dataset().sequences, 5), a_few_epochs()
    with _world_of_one() as alone:
        for rank, share in enumerate(dealt(windows, 2)):
            fit_body(
                as_tensors(share, 5),
                total_events=int(windows["items"].list.len().sum()),
                attributes=ItemAttributes.none(N_ITEMS),
                body=BodyConfig(**SMALL_BODY),
                config=config,
                world=replace(alone, rank=rank, size=2),
                seed=3,
                on_epoch=lambda *_: None,
            )
    first, second = steps_taken[: config.epochs], steps_taken[config.epochs :]
    assert [ranks for ranks, _ in first] == [ranks for ranks, _ in second]
    assert len({tuple(ranks) for ranks, _ in first}) == config.epochs
    together = [own + other for (_, own), (_, other) in zip(first, second, strict=True)]
    assert together == targets_trained(windows, 2, config, seed=3)


def a_few_epochs():
    return load_config().body_training.model_copy(update={"epochs": 3, "batch_events": 100})


@pytest.mark.slow
def test_tables_take_turns_on_the_same_rows(tmp_path):
    sizes = ["--rows", "500", "--width", "8", "--lookups", "40", "--rounds", "2", "--steps", "3", "--dense-steps", "2"]
    sizes += ["--threads", "1,2"]
    script = [sys.executable, str(ROOT / "benchmarks" / "tables.py")]
    subprocess.run([*script, *sizes, "--out", str(tmp_path / "tables.json")], check=True, capture_output=True)
    found = json.loads((tmp_path / "tables.json").read_text())
    assert set(found["by_threads"]) == {"1", "2"}
    for own in found["by_threads"].values():
        assert {name: one["calls"] for name, one in own["figures"].items()} == {"fused": 6, "sparse": 6, "dense": 4}
        assert set(own["times_as_fast_as"]) == {"sparse", "dense"}
    assert found["bar"]["ratio"] == min(own["times_as_fast_as"]["sparse"] for own in found["by_threads"].values())
