"""Quality by training time: what is trained for a budget, whose seconds are told, and what a killed unit keeps."""

import json
from dataclasses import replace

import pytest
import torch

from benchmarks.units import budget as module
from benchmarks.units.arms import load_arm
from benchmarks.units.budget import BUDGET, BUDGETS, StageClock, arm_name
from benchmarks.units.budget_plot import draw_budget
from benchmarks.units.claims import SHARED
from benchmarks.units.runner import MINUTES, run_units
from benchmarks.units.scoring import scored_arm
from benchmarks.units.stages import profiles
from benchmarks.units.summary import UNIT as SUMMARY
from recsys.experts.body import BodyExpert, SequenceEncoder
from recsys.training.distributed import BodyRun
from recsys.training.progress import Silent
from tests.benchmarks.conftest import tiny_config

EPOCHS = 4
NONE, PLENTY, MORE = 0.0, 1000.0, 2000.0
SCORERS = (SHARED, "body alone", "model")


@pytest.fixture
def asked(monkeypatch):
    """A body of random items in the place of the one that needs Ray; gives the epochs asked of it, the probes' too.

    The stage that it is told under is the library's own.
    """
    epochs = []

    def fit(windows, *, attributes, body, config, workers, seed, on_epoch, start, kept):
        assert start is None, "a budget begins from nothing"
        epochs.append(config.epochs)
        torch.manual_seed(seed)
        items = torch.randn(attributes.n_items + 1, body.width)
        items[0] = 0
        for epoch in range(config.epochs):
            on_epoch(epoch, 1.5)
        return BodyRun(BodyExpert(SequenceEncoder(body), items), (1.5,))

    monkeypatch.setattr("recsys.training.experts.fit_body_distributed", fit)
    monkeypatch.setattr(module, "configuration", lambda _: tiny_config(f"body_training.epochs={EPOCHS}"))
    return epochs


def within(*budgets):
    return replace(BUDGET, settings={"budgets": list(budgets)})


def run(bench, *units, **options):
    said = []
    paths = run_units(bench, units, progress=Silent(), say=said.append, **options)
    return [json.loads(path.read_text()) for path in paths], said


@pytest.mark.slow
def test_a_point_is_a_model_its_blend_and_its_body_beside_the_memory(make_model_bench, asked):
    (result,), _ = run(make_model_bench(), within(NONE, PLENTY))
    points = result["figures"]["points"]
    assert [(p["scorer"], p["budget"], p["epochs"]) for p in points] == [
        ("memory alone", None, None),
        *((scorer, NONE, 1) for scorer in SCORERS),
        *((scorer, PLENTY, EPOCHS) for scorer in SCORERS),
    ]
    assert asked == [2, 1, 2, EPOCHS]
    by_name = {entry["name"]: entry for entry in result["arms"]}
    for point in points:
        name = point["scorer"] if point["budget"] is None else arm_name(point["budget"], point["scorer"])
        metrics = by_name[name]["metrics"]
        assert (point["ndcg@10"], point["hr@10"]) == (metrics["ndcg@10"], metrics["hr@10"])
    assert {entry["protocol"] for entry in result["arms"]} == {"budget"}


def test_a_body_takes_its_own_seconds_and_a_model_those_of_the_whole_run(make_model_bench, asked):
    (result,), _ = run(make_model_bench(), within(NONE))
    notes = {entry["notes"]["scorer"]: entry["notes"] for entry in result["arms"]}
    own, whole = notes["body alone"], notes["model"]
    stages = whole["stage_seconds"]
    assert own["seconds"] == stages["body on Ray Train (2 workers)"]
    assert notes[SHARED]["seconds"] == whole["seconds"]
    assert whole["seconds"] == pytest.approx(sum(stages.values()) + whole["plan"]["spent_seconds"], abs=0.05)


def test_what_is_judged_is_what_training_fitted(make_model_bench, asked, monkeypatch):
    found = []

    def fit(*own, **named):
        found.append(fitted(*own, **named))
        torch.manual_seed(0)
        with torch.no_grad():  # so few epochs leave the heads at the blend
            for weights in found[-1].model.hypernetwork.parameters():
                weights.add_(torch.randn_like(weights))
        return found[-1]

    fitted = module.fit_model
    monkeypatch.setattr(module, "fit_model", fit)
    bench = make_model_bench()
    (result,), _ = run(bench, within(PLENTY))
    arms = {entry["name"]: load_arm(bench.arms_folder, entry) for entry in result["arms"]}
    (model,) = (one.model for one in found)
    for scorer, score in (
        ("model", lambda context: model.forward(context).scores),
        (SHARED, lambda context: model.shared_scores(model.network.outputs(context))),
        ("body alone", model.network.body.score),
    ):
        expected = scored_arm(bench, scorer, 0, score, profile=profiles(bench))
        assert arms[arm_name(PLENTY, scorer)].ranks.tolist() == expected.ranks.tolist()
    assert len({tuple(arm.ranks) for arm in arms.values()}) == 4


def test_larger_budgets_than_one_that_has_time_for_all_epochs_are_left_out(make_model_bench, asked):
    (result,), _ = run(make_model_bench(), within(MORE, NONE, PLENTY))
    assert {p["budget"] for p in result["figures"]["points"]} == {None, NONE, PLENTY}


@pytest.mark.slow
@pytest.mark.parametrize("saved", [1, 3, 4, 6], ids=lambda n: f"{n} arms saved")
def test_a_killed_unit_goes_on_from_the_budgets_that_it_finished(make_model_bench, asked, monkeypatch, saved):
    kept = module.UnitRun.save
    arms = []

    def save(run, arm):
        if len(arms) == saved:
            raise KeyboardInterrupt
        arms.append(arm.name)
        kept(run, arm)

    with monkeypatch.context() as patched:
        patched.setattr(module.UnitRun, "save", save)
        with pytest.raises(KeyboardInterrupt):
            run(make_model_bench(), within(NONE, PLENTY))
    assert not list(make_model_bench().results.rglob("*"))
    asked.clear()
    (result,), _ = run(make_model_bench(), within(NONE, PLENTY))
    assert asked == ([2, EPOCHS] if saved >= 4 else [2, 1, 2, EPOCHS])
    names = [entry["name"] for entry in result["arms"]]
    assert len(names) == len(set(names)) == len(result["figures"]["points"]) == 7


def test_a_test_split_is_never_scored(make_model_bench, asked, tmp_path, monkeypatch):
    monkeypatch.setenv("RECSYS_TEST_LEDGER", str(tmp_path / "ledger.jsonl"))
    results, said = run(make_model_bench("test"), within(NONE))
    assert (results, asked) == ([], [])
    assert "validation only; left out" in said[0]
    assert not list(make_model_bench("test").arms_folder.rglob("*"))
    assert not (tmp_path / "ledger.jsonl").exists()


def test_the_budgets_that_ship_leave_a_unit_time_to_spare():
    assert BUDGET.settings == {"budgets": list(BUDGETS)}
    assert sum(BUDGETS) < MINUTES * 60 / 2


def test_the_summary_shows_picture_and_points_but_none_of_them_among_the_scorers(make_model_bench, asked):
    bench = make_model_bench()
    (result, summary), _ = run(bench, within(NONE, PLENTY), SUMMARY)
    page = (bench.results_folder / "summary.md").read_text()
    assert "](budget.png)" in page
    body = next(p for p in result["figures"]["points"] if (p["scorer"], p["budget"]) == ("body alone", PLENTY))
    assert f"| body alone | 1000 | {EPOCHS} of {EPOCHS} | {body['seconds']:.1f} | {body['ndcg@10']:.4f} |" in page
    assert summary["figures"]["scorers"] == []
    (bench.results_folder / "budget.png").unlink()
    run(bench, SUMMARY, again=True)
    page = (bench.results_folder / "summary.md").read_text()
    assert "budget.png" not in page
    assert "| memory alone | – | – |" in page


def test_without_a_memory_there_is_none_to_show(make_model_bench, asked, monkeypatch):
    without = [f"memories.{name}.max_items=5" for name in ("memory", "short", "long")]
    tiny = tiny_config("body_training.epochs=1", *without)
    monkeypatch.setattr(module, "configuration", lambda _: tiny)
    (result,), _ = run(make_model_bench(), within(NONE))
    assert [p["scorer"] for p in result["figures"]["points"]] == list(SCORERS)


def test_the_picture_is_drawn_of_one_point_as_of_many(tmp_path):
    def point(scorer, budget, seconds, quality):
        return {"scorer": scorer, "budget": budget, "epochs": 3, "seconds": seconds, "ndcg@10": quality}

    memory = point("memory alone", None, 1.2, 0.11)
    curves = [point(s, b, b * f, 0.1 + b / 1e4) for b in (120, 300) for s, f in (("model", 0.9), ("body alone", 0.6))]
    for name, points in {"one": [memory], "many": [memory, *curves]}.items():
        draw_budget(points, tmp_path / f"{name}.png", "Quality by training time: films")
        assert (tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG")


def test_a_stage_lasts_until_the_next_one(monkeypatch):
    moments = iter([10.0, 12.5, 20.0])
    monkeypatch.setattr(module.time, "monotonic", lambda: next(moments))
    clock = StageClock(Silent())
    clock.stage("body", 3).advance()
    clock.stage("heads", 1)
    assert clock.seconds() == {"body": 2.5, "heads": 7.5}
