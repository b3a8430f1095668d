"""Units are skipped when finished, resumed when cut short, and never leave half a file."""

import json
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from benchmarks.units.arms import Arm
from benchmarks.units.bench import require_ledger
from benchmarks.units.files import write_json, write_whole
from benchmarks.units.runner import run_units
from benchmarks.units.time_limit import UnitTimeoutError
from benchmarks.units.unit import Unit, finished
from recsys.errors import ConfigError
from recsys.evaluation.ledger import LEDGER_VARIABLE
from recsys.training.progress import Silent
from tests.benchmarks.conftest import tiny_dataset


def arm(name="ours", seed=0, users=5) -> Arm:
    return Arm(name, seed, np.arange(users), np.full(users, 2.0, np.float32), np.arange(users))


class Counting:
    """A unit of one arm a seed that counts how often it made one, and can be killed after some."""

    def __init__(self, killed_after=None):
        self.made, self.killed_after = [], killed_after

    def __call__(self, run):
        for seed in run.seeds:
            if not run.has("ours", seed):
                if len(self.made) == self.killed_after:
                    raise KeyboardInterrupt
                self.made.append(seed)
                run.save(arm(seed=seed))
        return {"made": list(self.made)}


def unit(work, **settings) -> Unit:
    return Unit("ours", work, "for a test", seeds=(0, 1, 2), **settings)


def run(bench, *units, **options):
    said = []
    paths = run_units(bench, units, progress=Silent(), say=said.append, **options)
    return [json.loads(path.read_text()) for path in paths], said


def test_a_result_says_what_made_it(make_bench):
    (result,), _ = run(make_bench(), unit(Counting()))
    assert result["seeds"] == [0, 1, 2]
    assert [entry["seed"] for entry in result["arms"]] == [0, 1, 2]
    assert result["arms"][0]["metrics"]["hr@5"] == 1.0
    assert result["figures"] == {"made": [0, 1, 2]}
    assert {"seconds", "commit", "machine", "command", "at", "key"} <= set(result)
    assert result["machine"]["cores"] >= 1
    assert result["inputs"]["data"] == make_bench().fingerprint


def test_a_finished_unit_is_skipped_and_said_so(make_bench):
    work = Counting()
    (before,), _ = run(make_bench(), unit(work))
    (after,), said = run(make_bench(), unit(work))
    assert work.made == [0, 1, 2]
    assert after == before
    assert "skipped" in said[0]


@pytest.mark.parametrize(
    "change", ["data", "settings", "revision"], ids=["other data", "other settings", "another revision"]
)
def test_other_inputs_are_another_result(make_bench, change):
    work = Counting()
    run(make_bench(), unit(work))
    bench = make_bench(dataset=tiny_dataset(users=40)) if change == "data" else make_bench()
    changed = {"settings": {"settings": {"width": 2}}, "revision": {"revision": 2}}.get(change, {})
    _, said = run(bench, unit(work, **changed))
    assert work.made == [0, 1, 2, 0, 1, 2]
    assert "inputs changed" in said[0]


def test_a_killed_unit_leaves_no_result_and_goes_on_from_its_arms(make_bench, tmp_path):
    killed, again = Counting(killed_after=2), Counting()
    with pytest.raises(KeyboardInterrupt):
        run(make_bench(), unit(killed))
    assert not (tmp_path / "results").exists() or not list((tmp_path / "results").rglob("*"))
    assert not list(tmp_path.rglob("*.tmp"))
    (result,), _ = run(make_bench(), unit(again))
    assert again.made == [2]
    assert [entry["seed"] for entry in result["arms"]] == [0, 1, 2]


def test_more_seeds_keep_the_ones_there_are(make_bench):
    work = Counting()
    run(make_bench(), unit(work), seeds=(0, 1))
    (result,), _ = run(make_bench(), unit(work), seeds=(0, 1, 2, 3))
    assert work.made == [0, 1, 2, 3]
    assert result["seeds"] == [0, 1, 2, 3]


def test_again_makes_everything_anew(make_bench):
    work = Counting()
    run(make_bench(), unit(work))
    run(make_bench(), unit(work), again=True)
    assert work.made == [0, 1, 2, 0, 1, 2]


def test_arms_made_from_other_inputs_are_not_taken_over(make_bench):
    with pytest.raises(KeyboardInterrupt):
        run(make_bench(), unit(Counting(killed_after=2)))
    work = Counting()
    run(make_bench(dataset=tiny_dataset(seed=1)), unit(work))
    assert work.made == [0, 1, 2]


def test_a_write_that_fails_half_way_keeps_what_was_there(tmp_path):
    path = tmp_path / "result.json"
    write_json(path, {"good": 1})

    def half(temporary):
        temporary.write_text('{"good"')
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_whole(path, half)
    assert json.loads(path.read_text()) == {"good": 1}
    assert [one.name for one in tmp_path.iterdir()] == ["result.json"]


def test_a_process_that_is_killed_while_it_writes_leaves_what_was_there(tmp_path):
    path = tmp_path / "result.json"
    write_json(path, {"good": 1})
    code = (
        "import os, signal, sys; from pathlib import Path; from benchmarks.units.files import write_whole\n"
        "def half(p):\n    p.write_text('{')\n    os.kill(os.getpid(), signal.SIGKILL)\n"
        "write_whole(Path(sys.argv[1]), half)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert json.loads(path.read_text()) == {"good": 1}
    write_json(path, {"good": 2})
    assert [one.name for one in tmp_path.iterdir()] == ["result.json"]


def test_figures_that_are_not_finite_are_no_result(make_bench):
    with pytest.raises(ValueError, match="Out of range float"):
        run(make_bench(), Unit("bad", lambda _: {"ndcg": float("nan")}, "for a test"))
    with pytest.raises(ConfigError, match="no result"):
        finished(make_bench(), "bad")


def test_a_unit_that_takes_too_long_is_stopped(make_bench):
    with pytest.raises(UnitTimeoutError, match=r"'slow' took longer than 0\.001 minutes"):
        run(make_bench(), Unit("slow", lambda _: time.sleep(20) or {}, "for a test"), minutes=0.001)


def test_a_unit_needs_the_result_of_another(make_bench):
    second = Unit("second", lambda run: {"first": run.result("ours")["figures"]}, "for a test", needs=("ours",))
    with pytest.raises(ConfigError, match=r"'ours' has no result on the validation split of 'tiny'.*--unit ours"):
        run(make_bench(), second)
    results, _ = run(make_bench(), unit(Counting()), second)
    assert results[1]["figures"] == {"first": {"made": [0, 1, 2]}}
    # Its need changes: it is run again.
    _, said = run(make_bench(), unit(Counting(), revision=2), second)
    assert "inputs changed" in "".join(line for line in said if "second" in line)


def test_a_missing_workspace_is_told_with_what_to_do(make_bench):
    bench = make_bench()
    del bench.__dict__["dataset"]
    with pytest.raises(ConfigError, match=r"no workspace 'tiny'.*tiny/events\.parquet.*recsys data import"):
        run(bench, unit(Counting()))


def test_a_test_look_needs_a_ledger_and_is_written_into_it(make_bench, tmp_path, monkeypatch):
    with pytest.raises(ConfigError, match=LEDGER_VARIABLE):
        require_ledger("test", None)
    require_ledger("validation", None)
    monkeypatch.setenv(LEDGER_VARIABLE, str(tmp_path / "ledger.jsonl"))
    run(make_bench(), unit(Counting()))
    assert not (tmp_path / "ledger.jsonl").exists()
    (result,), _ = run(make_bench("test"), unit(Counting()))
    run(make_bench("test"), unit(Counting()))
    (line,) = (tmp_path / "ledger.jsonl").read_text().splitlines()
    look = json.loads(line)
    assert (look["workspace"], look["unit"]) == ("tiny", "ours")
    assert look["metrics"]["ours (seed 0, warm)"]["hr@5"] == 1.0
    assert result["test_looks_before"] == 0
