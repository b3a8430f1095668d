"""SASRec of RecTools sees what we hand over and nothing else, and its ranks follow our rule."""

import json
import subprocess
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from benchmarks.units import peers
from benchmarks.units.peers import VENV, run_sasrec, sasrec_units
from benchmarks.units.runner import run_units
from benchmarks.units.unit import Unit
from recsys.errors import ConfigError, TrainingError
from recsys.evaluation.cases import leave_one_out_cases, score_cases
from recsys.evaluation.unseen import held_out_users
from recsys.training.progress import Silent

PYTHON = VENV / "bin" / "python"

# Stands for the peer: scores items by their number, ranks with numpy, keeps what it was handed.
STAND_IN = """
import json, sys
from pathlib import Path
import numpy as np, polars as pl
folder = Path(sys.argv[1])
settings = json.loads((folder / "settings.json").read_text())
fit = pl.read_parquet(folder / "fit.parquet").to_dict(as_series=False)
(Path(%r) / "handed.json").write_text(json.dumps({"settings": settings, "fit": fit}))
scores = np.arange(settings["n_items"], dtype=np.float32)
for path in folder.glob("cases-*.parquet"):
    cases = pl.read_parquet(path)
    ranks = [int((np.setdiff1d(np.arange(1, settings["n_items"] + 1), items) > target).sum()) + %d
             for items, target in zip(cases["items"], cases["target"])]
    frame = pl.DataFrame({"case": cases["case"], "rank": ranks, "log_loss": np.ones(len(ranks), np.float32),
                          "scores": [scores.tolist() if n < 5 else None for n in range(len(ranks))]})
    frame.write_parquet(folder / path.name.replace("cases-", "ranks-"))
(folder / "training.json").write_text("{}")
"""


@pytest.fixture
def stand_in(tmp_path, monkeypatch):
    """Puts a stand-in in the peer's place; `wrong` is added to its ranks."""

    def make(wrong: int = 0) -> Path:
        import sys

        (tmp_path / "peer").mkdir()
        (tmp_path / "peer" / "sasrec.py").write_text(STAND_IN % (str(tmp_path), wrong))
        monkeypatch.setattr(peers, "PEERS", tmp_path / "peer")
        return Path(sys.executable)

    return make


def run(bench, python: Path, *, unseen: bool, minutes: float = 0.2):
    work = partial(run_sasrec, seed=0, unseen=unseen, minutes=minutes, python=python)
    unit = Unit("sasrec", work, "for a test")
    (path,) = run_units(bench, [unit], progress=Silent(), say=lambda _: None)
    return json.loads(path.read_text())


def test_two_units_a_seed():
    assert [unit.name for unit in sasrec_units(seeds=(0, 3))] == [
        "sasrec-0",
        "sasrec-unseen-0",
        "sasrec-3",
        "sasrec-unseen-3",
    ]


def test_without_its_environment_the_message_says_how_to_make_it(make_bench):
    with pytest.raises(ConfigError, match=r"benchmarks/peers/setup\.sh"):
        run(make_bench(), Path("nowhere/python"), unseen=False)


@pytest.mark.slow
def test_the_peer_trains_without_targets_and_chooses_by_validation_alone(make_bench, stand_in, tmp_path):
    bench = make_bench()
    run(bench, stand_in(), unseen=False)
    fit = pl.DataFrame(json.loads((tmp_path / "handed.json").read_text())["fit"])
    whole = bench.whole
    assert fit.filter(~pl.col("validation"))["item"].to_list() == bench.train.items.tolist()
    assert fit.filter("validation")["item"].to_list() == leave_one_out_cases(whole, "validation").targets.tolist()
    assert fit.group_by("user").agg(pl.len()).sort("user")["len"].to_list() == (whole.lengths - 1).tolist()


@pytest.mark.slow
def test_the_peer_never_sees_held_out_users(make_bench, stand_in, tmp_path):
    bench = make_bench()
    result = run(bench, stand_in(), unseen=True)
    fit = json.loads((tmp_path / "handed.json").read_text())["fit"]
    held = held_out_users(len(bench.whole), 0)
    assert not set(fit["user"]) & set(held.tolist())
    assert {entry["protocol"] for entry in result["arms"]} >= {"unseen-0", "unseen-3", "unseen-all"}


@pytest.mark.slow
def test_its_ranks_are_what_our_own_rule_gives(make_bench, stand_in):
    import torch

    bench = make_bench()
    result = run(bench, stand_in(), unseen=False)
    (warm,) = [entry for entry in result["arms"] if entry["protocol"] == "warm"]
    by_number = lambda context: torch.arange(30.0).expand(len(context), -1)  # noqa: E731
    ours = score_cases(by_number, bench.whole, bench.cases, bench.catalogue).ranks
    with np.load(bench.arms_folder / warm["file"]) as arrays:
        assert arrays["ranks"].tolist() == ours.tolist()
    assert not list((bench.work / "tiny" / "peers").iterdir())


@pytest.mark.slow
def test_ranks_by_another_rule_are_refused(make_bench, stand_in):
    with pytest.raises(TrainingError, match="not what our tie rule makes of its scores"):
        run(make_bench(), stand_in(wrong=1), unseen=False)


@pytest.mark.slow
@pytest.mark.skipif(not PYTHON.exists(), reason="benchmarks/peers/setup.sh was not run")
def test_the_real_peer_learns_tastes(make_bench):
    result = run(make_bench(), PYTHON, unseen=False, minutes=0.5)
    (warm,) = [entry for entry in result["arms"] if entry["protocol"] == "warm"]
    assert warm["metrics"]["ndcg@10"] > 0.3
    assert result["figures"]["training"]["kept_best"]


@pytest.mark.slow
@pytest.mark.skipif(not PYTHON.exists(), reason="benchmarks/peers/setup.sh was not run")
def test_our_scores_of_the_network_are_those_that_rectools_ranks_by(tmp_path):
    code = """
import sys, warnings; warnings.filterwarnings("ignore")
sys.path.insert(0, sys.argv[1])
import numpy as np, pandas as pd
from pathlib import Path
from rectools.dataset import Dataset
import sasrec
rng = np.random.default_rng(0)
rows = [(u, int(i) + 1 + 15 * (u % 2), p) for u in range(40) for p, i in enumerate(rng.permutation(15)[:7])]
fit = pd.DataFrame(rows, columns=["user", "item", "position"])
fit["validation"] = fit["position"] == 6
model = {"n_factors": 16, "n_heads": 2, "n_blocks": 1, "session_max_len": 5, "batch_size": 16}
settings = {"seed": 0, "model": model, "training": {"seconds": 60, "epochs": 3, "patience": 3}}
trained, _ = sasrec.train(Path(sys.argv[2]), settings, fit)
scores = sasrec.Scorer(trained, fit, 32)([fit.loc[fit["user"] == u, "item"].to_numpy() for u in range(40)])
frame = pd.DataFrame({"user_id": fit["user"], "item_id": fit["item"], "weight": 1.0,
                      "datetime": pd.Timestamp("2000-01-01") + pd.to_timedelta(fit["position"], unit="s")})
theirs = trained.recommend(users=np.arange(40), dataset=Dataset.construct(frame), k=30, filter_viewed=False)
found = scores.numpy()[theirs["user_id"], theirs["item_id"] - 1]
assert len(theirs) == 1200, len(theirs)
assert np.allclose(found, theirs["score"], atol=1e-5), np.abs(found - theirs["score"]).max()
assert (scores[:, 30:].max() < scores[:, :30].min())
"""
    done = subprocess.run(
        [str(PYTHON), "-c", code, str(peers.PEERS), str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
