"""The units of the baselines, the claims and the table, on a few made-up users."""

import json

import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner

from benchmarks.quality import app
from benchmarks.units.arms import Arm, load_arm
from benchmarks.units.baselines import BASELINES
from benchmarks.units.baskets import BASKETS
from benchmarks.units.claims import Claim, compare_arms, judge_claims
from benchmarks.units.registry import UNITS, selected
from benchmarks.units.runner import run_units
from benchmarks.units.summary import unseen_rows
from benchmarks.units.unseen import UNSEEN_BASELINES, protocol_name
from recsys.errors import ConfigError
from recsys.evaluation.repeat_baselines import tifu_knn_trials
from recsys.evaluation.tifu_knn import TifuKnnConfig
from recsys.training.progress import Silent
from tests.benchmarks.conftest import basket_dataset


def arm(name, values, seed=0, users=None, protocol="warm", loss=None) -> Arm:
    """Ranks 0 where a value is 1, else out of reach."""
    ranks = np.where(np.asarray(values) > 0, 0, 99)
    users = np.arange(len(ranks)) if users is None else np.asarray(users)
    return Arm(name, seed, ranks, np.ones(len(ranks), np.float32) if loss is None else loss, users, protocol)


def run(bench, *units, **options):
    return [
        json.loads(path.read_text())
        for path in run_units(bench, units, progress=Silent(), say=lambda _: None, **options)
    ]


def test_units_have_names_of_their_own_and_are_chosen_in_running_order():
    assert len({unit.name for unit in UNITS}) == len(UNITS)
    assert [unit.name for unit in selected(["summary", "ease"])] == ["ease", "summary"]
    with pytest.raises(ConfigError, match=r"no unit 'eas'\. There is: data, popularity, ease"):
        selected(["eas"])


def test_baselines_without_a_library_beat_popularity_on_users_with_tastes(make_bench):
    popularity, ease = run(make_bench(), *BASELINES[:2])
    assert ease["arms"][0]["metrics"]["ndcg@10"] > popularity["arms"][0]["metrics"]["ndcg@10"]
    assert ease["arms"][0]["metrics"]["log_loss"] < popularity["arms"][0]["metrics"]["log_loss"]
    assert str(ease["figures"]["chosen"]["ridge"]) in ease["figures"]["trials"]


def test_the_test_split_reuses_what_validation_chose(make_bench, tmp_path, monkeypatch):
    monkeypatch.setenv("RECSYS_TEST_LEDGER", str(tmp_path / "ledger.jsonl"))
    with pytest.raises(ConfigError, match=r"'ease' has no result on the validation split"):
        run(make_bench("test"), BASELINES[1])
    (chosen,) = run(make_bench(), BASELINES[1])
    (tested,) = run(make_bench("test"), BASELINES[1])
    assert tested["figures"] == chosen["figures"]
    assert tested["arms"][0]["metrics"] != chosen["arms"][0]["metrics"]


@pytest.mark.slow
def test_the_library_baselines_and_unseen_users(make_bench):
    pytest.importorskip("implicit", reason="comes with the extra 'bench'")
    results = {r["unit"]: r for r in run(make_bench(), *BASELINES, UNSEEN_BASELINES, seeds=(0, 1))}
    assert len(results["ials"]["figures"]["trials"]) == 12
    assert [entry["seed"] for entry in results["ials"]["arms"]] == [0, 1]
    protocols = {entry["protocol"] for entry in results["unseen-baselines"]["arms"]}
    assert {"unseen-0", "unseen-3", "unseen-3-warm", "unseen-all", "unseen-all-warm"} <= protocols
    three = [e for e in results["unseen-baselines"]["arms"] if e["protocol"] == "unseen-3" and e["name"] == "EASE"]
    assert [entry["users"] for entry in three] == [6, 6]


def test_where_targets_are_baskets_they_are_judged_as_baskets(make_bench, monkeypatch):
    monkeypatch.setattr(
        "benchmarks.units.baskets.tifu_knn_trials", lambda *a: tifu_knn_trials(*a, first=[TifuKnnConfig()])
    )
    bench = make_bench(dataset=basket_dataset())
    popularity, frequency, tifu = run(bench, BASELINES[0], *BASKETS)
    own, others = frequency["arms"][1]["metrics"], popularity["arms"][0]["metrics"]
    assert own["recall@10"] == 1.0
    assert own["recall@10"] > others["recall@10"]
    assert own["log_loss"] < others["log_loss"]
    assert frequency["arms"][0]["users"] == 40
    assert len(tifu["figures"]["trials"]) > 1
    (loaded,) = [load_arm(bench.arms_folder, entry) for entry in popularity["arms"]]
    assert loaded.per_user("recall@10").mean() == pytest.approx(others["recall@10"])
    assert loaded.per_user("ndcg@10").mean() == pytest.approx(others["ndcg@10"])


def test_a_unit_of_the_other_protocol_is_left_out(make_bench):
    said = []
    assert run_units(make_bench(), BASKETS, progress=Silent(), say=said.append) == []
    assert "not meant for 'tiny', whose targets are single events" in said[0]
    assert run_units(make_bench(dataset=basket_dataset()), BASELINES[1:], progress=Silent(), say=said.append) == []


def test_seeds_of_the_same_users_are_averaged_before_users_are_resampled():
    a = [arm("a", [1, 1, 0, 0], seed=0), arm("a", [1, 0, 1, 0], seed=1)]
    found = compare_arms(a, [arm("b", [0, 0, 0, 0])], "ndcg@10", resamples=200)
    assert (found.users, found.seeds) == (4, 2)
    assert found.difference == pytest.approx(0.5)


def test_seeds_with_users_of_their_own_give_one_difference_a_user():
    a = [arm("a", [1, 1], seed=0, users=[0, 2]), arm("a", [1, 0], seed=1, users=[1, 3])]
    b = [arm("b", [0, 1], seed=0, users=[0, 2]), arm("b", [0, 0], seed=1, users=[1, 3])]
    found = compare_arms(a, b, "ndcg@10", resamples=200)
    assert (found.users, found.seeds) == (4, 1)
    assert found.difference == pytest.approx(0.5)


def test_where_one_scorer_has_fewer_seeds_of_users_of_their_own_only_shared_seeds_count():
    a = [arm("a", [1, 1], seed=0, users=[0, 2])]
    b = [arm("b", [0, 1], seed=0, users=[0, 2]), arm("b", [0, 0], seed=1, users=[1, 3])]
    found = compare_arms(a, b, "ndcg@10", resamples=200)
    assert (found.users, found.difference) == (2, pytest.approx(0.5))


def test_arms_of_other_users_or_overlapping_shares_are_not_compared():
    with pytest.raises(ValueError, match="different users"):
        compare_arms([arm("a", [1, 1])], [arm("b", [1, 1], users=[5, 6])], "ndcg@10")
    overlapping = [arm("a", [1, 1], seed=0, users=[0, 1]), arm("a", [1, 1], seed=1, users=[1, 2])]
    with pytest.raises(ValueError, match="cannot be averaged"):
        compare_arms(overlapping, overlapping, "ndcg@10")


def test_a_claim_holds_only_in_the_better_direction_and_unmeasured_ones_are_listed():
    better = np.full(200, 1.0, np.float32) + np.random.default_rng(0).normal(0, 0.1, 200).astype(np.float32)
    arms = [arm("good", [1] * 200, loss=better), arm("bad", [1] * 200, loss=better + 1)]
    claims = [
        Claim("true", "good", "bad", "log_loss"),
        Claim("the other way round", "bad", "good", "log_loss"),
        Claim("no difference", "good", "bad", "ndcg@10"),
        Claim("nobody measured it", "good", "absent", "ndcg@10"),
    ]
    found = judge_claims(claims, arms, resamples=500)
    assert [one.holds for one in found] == [True, False, False, None]
    assert found[0].adjusted_p == pytest.approx(3 * 2 / 501)
    assert found[3].comparison is None


def test_unseen_users_of_all_seeds_are_put_beside_their_warm_ranks():
    groups = {
        (protocol_name(3, warm=False), "a"): [arm("a", [1, 0], users=[0, 1]), arm("a", [0, 0], seed=1, users=[2, 3])],
        (protocol_name(3, warm=True), "a"): [arm("a", [1, 1], users=[0, 1]), arm("a", [0, 0], seed=1, users=[2, 3])],
        (protocol_name(None, warm=False), "a"): [arm("a", [1, 0], users=[0, 1])],
    }
    three, everything = unseen_rows(groups)
    assert (three["context"], three["users"], three["ndcg@10"], three["relative_loss"]) == ("3", 4, 0.25, 0.5)
    assert (everything["context"], everything["warm"]) == ("all", None)


def command(*arguments):
    return CliRunner().invoke(app, list(arguments))


def test_mistakes_are_told_in_one_line(tmp_path, monkeypatch):
    monkeypatch.delenv("RECSYS_TEST_LEDGER", raising=False)
    for arguments, message in [
        ([], "--workspace"),
        (["-w", "NOPE!"], "cannot name a workspace"),
        (["-w", "nope", "--unit", "ease"], "no workspace 'nope'"),
        (["-w", "nope", "--data", str(tmp_path)], "nope/events.parquet"),
        (["-w", "nope", "--unit", "eas"], "no unit 'eas'"),
        (["-w", "nope", "--seeds", "1,1"], "different numbers"),
        (["-w", "nope", "--split", "test"], "RECSYS_TEST_LEDGER"),
        (["-w", "nope", "--split", "train"], "no split 'train'"),
    ]:
        result = command(*arguments, "--results", str(tmp_path / "r"), "--work", str(tmp_path / "w"))
        assert result.exit_code == 2, result.output
        assert message in result.output
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_from_a_folder_of_events_to_the_table(tmp_path, recsys_home):
    rng = np.random.default_rng(0)
    rows = [(u, i, p) for u in range(40) for p, i in enumerate(rng.permutation(12)[:6] + 12 * (u % 2))]
    folder = tmp_path / "data" / "small"
    folder.mkdir(parents=True)
    frame = pl.DataFrame(rows, schema=["user_id", "item_id", "position"], orient="row")
    frame.with_columns(pl.col("user_id", "item_id").cast(pl.String)).write_parquet(folder / "events.parquet")
    options = ["-w", "small", "--data", str(tmp_path / "data"), "--work", str(tmp_path / "w")]
    options += ["--results", str(tmp_path / "r"), "--unit", "data", "--unit", "popularity", "--unit", "ease"]
    result = command(*options, "--unit", "summary")
    assert result.exit_code == 0, result.output
    made = tmp_path / "r" / "small" / "validation"
    assert {path.name for path in made.iterdir()} == {
        "data.json", "popularity.json", "ease.json", "summary.json", "summary.md"
    }  # fmt: skip
    page = (made / "summary.md").read_text()
    assert "| EASE | 1 |" in page
    assert "not measured" in page
    assert json.loads((made / "data.json").read_text())["figures"]["users"] == 40
    again = command(*options)
    assert again.output.count("skipped") == 3
