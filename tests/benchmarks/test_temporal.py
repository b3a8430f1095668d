"""The temporal split in the benchmark: who is judged, what no fit may see, and what the summary shows of it."""

import json

import numpy as np
import pytest
import torch

from benchmarks.units import heads, summary, temporal
from benchmarks.units.arms import load_arm
from benchmarks.units.baselines import BASELINES, EASE, POPULARITY
from benchmarks.units.claims import SHARED, fed_others, head
from benchmarks.units.registry import UNITS
from benchmarks.units.runner import run_units
from benchmarks.units.stages import stages
from benchmarks.units.temporal import RECENT_POPULARITY, TEMPORAL, TEMPORAL_SPLIT
from benchmarks.units.training_part import BEFORE_MOMENT
from recsys.errors import ConfigError
from recsys.training.fit import fit_heads
from recsys.training.progress import Silent
from tests.benchmarks.conftest import N_ITEMS, basket_dataset, clock_dataset, tiny_config, tiny_dataset

OURS = head(tiny_config().head.kind)
SEEDED = (OURS, fed_others(OURS))


def run(bench, *units, **options):
    said = []
    paths = run_units(bench, units, progress=Silent(), say=said.append, **options)
    return [json.loads(path.read_text()) for path in paths], said


def users_between(whole, begin, end):
    """Who has an event then; everybody here has one that trains."""
    users = np.repeat(np.arange(len(whole)), whole.lengths)
    return np.unique(users[(begin <= whole.times) & (whole.times < end)]).tolist()


def test_everything_is_judged_on_the_split_and_the_test_split_reuses_what_validation_chose(
    make_model_bench, body_fits, tmp_path, monkeypatch
):
    monkeypatch.setenv("RECSYS_TEST_LEDGER", str(tmp_path / "ledger.jsonl"))
    with pytest.raises(ConfigError, match="'temporal' has no result on the validation split"):
        run(make_model_bench("test", clock_dataset()), TEMPORAL_SPLIT)
    bench = make_model_bench(dataset=clock_dataset())
    (result,), _ = run(bench, TEMPORAL_SPLIT, seeds=(0, 1))
    monkeypatch.delattr(temporal, "tune_ease")
    monkeypatch.delattr(heads, "fit_heads")
    (tested,), _ = run(make_model_bench("test", clock_dataset()), TEMPORAL_SPLIT, seeds=(0, 1))
    assert tested["figures"]["tuned"] == result["figures"]["tuned"]
    assert body_fits == [17]
    names = stages(bench, tiny_config(), Silent(), BEFORE_MOMENT).final.names
    once = {POPULARITY, RECENT_POPULARITY, EASE, SHARED, *(f"expert: {name}" for name in names)}
    expected = {(name, 0) for name in once} | {(name, seed) for name in SEEDED for seed in (0, 1)}
    times, moments = np.sort(bench.whole.times), bench.moments
    assert (times < moments.validation_from).sum() == result["figures"]["training_events"] == int(0.8 * len(times))
    spans = {"validation": (moments.validation_from, moments.test_from), "test": (moments.test_from, np.inf)}
    for found in (result, tested):
        assert {(entry["name"], entry["seed"]) for entry in found["arms"]} == expected
        assert {entry["protocol"] for entry in found["arms"]} == {TEMPORAL}
        users = users_between(bench.whole, *spans[found["split"]])
        assert 0 < len(users) < len(bench.whole)
        own = make_model_bench(found["split"]).arms_folder
        assert all(load_arm(own, entry).users.tolist() == users for entry in found["arms"])


def test_no_fit_sees_anything_from_the_first_moment_on(make_model_bench, body_fits):
    bench = make_model_bench(dataset=clock_dataset())
    early = bench.whole.times < bench.moments.validation_from
    found = stages(bench, tiny_config(), Silent(), BEFORE_MOMENT)
    counts = np.bincount(bench.whole.items[early] - 1, minlength=N_ITEMS)
    torch.testing.assert_close(found.final.others["popularity"].log_counts, torch.from_numpy(np.log1p(counts)).float())
    targets = found.held_out.targets
    assert early[bench.whole.offsets[targets.users] + targets.lengths].all()
    stages(bench, tiny_config(), Silent())
    assert len(body_fits) == 2  # the leave-one-out stages are others


def test_where_fashions_pass_recent_popularity_wins_with_the_best_half_life(make_model_bench, body_fits):
    (result,), _ = run(make_model_bench(dataset=clock_dataset()), TEMPORAL_SPLIT, seeds=(0,))
    quality = {entry["name"]: entry["metrics"]["ndcg@10"] for entry in result["arms"]}
    tuned = result["figures"]["tuned"][RECENT_POPULARITY]
    assert quality[RECENT_POPULARITY] > quality[POPULARITY] + 0.1
    best = max(tuned["trials"], key=tuned["trials"].get)
    assert float(best) == tuned["chosen"]["half_life_days"] < 365
    assert tuned["trials"][best] == pytest.approx(quality[RECENT_POPULARITY])
    ease = result["figures"]["tuned"][EASE]
    assert ease["trials"][str(ease["chosen"]["ridge"])] == pytest.approx(quality[EASE])


def test_more_seeds_keep_what_there_is(make_model_bench, body_fits, monkeypatch):
    fits, judged = [], []
    monkeypatch.setattr(heads, "fit_heads", lambda *own: fits.append(own[1].seed) or fit_heads(*own))
    together = temporal.judged_together
    monkeypatch.setattr(temporal, "judged_together", lambda *a, **k: judged.append(set(a[2])) or together(*a, **k))
    run(make_model_bench(dataset=clock_dataset()), TEMPORAL_SPLIT, seeds=(0,))
    (result,), _ = run(make_model_bench(dataset=clock_dataset()), TEMPORAL_SPLIT, seeds=(0, 1))
    assert fits == [0, 1]
    assert judged[1] == {(name, 1) for name in SEEDED}
    assert {entry["seed"] for entry in result["arms"] if entry["name"] == OURS} == {0, 1}
    assert len(body_fits) == 1


@pytest.mark.parametrize(
    ("dataset", "reason"), [(tiny_dataset, "an order and no times"), (basket_dataset, "targets are baskets")]
)
def test_where_it_says_nothing_it_is_left_out_and_why(make_bench, dataset, reason):
    results, said = run(make_bench(dataset=dataset()), TEMPORAL_SPLIT)
    assert results == []
    assert "not meant for 'tiny'" in said[0]
    assert f"{reason}; left out" in said[0]


def test_the_summary_shows_it_apart_from_the_main_table(make_model_bench, body_fits, monkeypatch):
    eager = tiny_config("generator.learning_rate=0.05", "generator.epochs=5")
    monkeypatch.setattr(temporal, "configuration", lambda _: eager)
    assert [unit.name for unit in UNITS].index(TEMPORAL) < [unit.name for unit in UNITS].index(summary.SUMMARY)
    bench = make_model_bench(dataset=clock_dataset())
    run(bench, BASELINES[0], summary.UNIT)
    page = bench.results_folder / "summary.md"
    assert "Temporal" not in page.read_text()
    (_, found, whole), _ = run(bench, BASELINES[0], TEMPORAL_SPLIT, summary.UNIT, seeds=(0, 1))
    main, section = page.read_text().split("## Temporal split")
    assert OURS not in main
    assert [row["name"] for row in whole["figures"]["scorers"]] == [POPULARITY]
    by_seed, others = (
        [entry["metrics"]["ndcg@10"] for entry in found["arms"] if entry["name"] == name] for name in SEEDED
    )
    assert by_seed[0] != by_seed[1]
    assert by_seed != others
    assert f"| {OURS} | 2 | {np.mean(by_seed):.4f} |" in section
    assert f"{found['figures']['users']} users" in section
