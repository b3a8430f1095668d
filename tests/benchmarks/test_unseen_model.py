"""The model for users that no fit knew: which arms there are, and whose events played no part."""

import json
from functools import partial

import numpy as np
import pytest

from benchmarks.units import unseen_model
from benchmarks.units.arms import load_arm
from benchmarks.units.claims import FINE_TUNED, SHARED, head
from benchmarks.units.fine_tuned import PENALTIES
from benchmarks.units.heads import STAGES
from benchmarks.units.runner import run_units
from benchmarks.units.unit import Unit
from recsys.evaluation.unseen import held_out_users
from recsys.training.progress import Silent
from tests.benchmarks.conftest import tiny_config

UNIT = Unit("unseen-model-1", partial(unseen_model.run_unseen_model, seed=1), "")


@pytest.fixture
def quick(monkeypatch, body_fits):
    monkeypatch.setattr(unseen_model, "configuration", lambda _: tiny_config())
    monkeypatch.setattr(unseen_model, "CONTEXT_LENGTHS", (0, 3, None))
    return body_fits


def run(bench, *units):
    paths = run_units(bench, units, progress=Silent(), say=lambda _: None)
    return [json.loads(path.read_text()) for path in paths]


@pytest.mark.slow
def test_every_context_length_has_the_model_its_blend_and_its_rivals(make_model_bench, quick):
    bench = make_model_bench()
    _, result = run(bench, STAGES, UNIT)
    ours = head(tiny_config().head.kind)
    found = {(entry["protocol"], entry["name"]): load_arm(bench.arms_folder, entry) for entry in result["arms"]}
    cold = {(f"unseen-{k}", name) for k in ("0", "3", "all") for name in (ours, SHARED, FINE_TUNED)}
    warm = {(f"unseen-{k}-warm", name) for k in ("0", "3", "all") for name in (ours, SHARED)}
    assert set(found) == cold | warm
    held = held_out_users(len(bench.whole), 1)
    assert all(np.isin(arm.users, held).all() for arm in found.values())
    for k in ("0", "3", "all"):
        np.testing.assert_array_equal(found[f"unseen-{k}", ours].users, found[f"unseen-{k}-warm", ours].users)
    # Of nobody's events there is nothing to fine-tune on.
    np.testing.assert_array_equal(found["unseen-0", FINE_TUNED].log_loss, found["unseen-0", SHARED].log_loss)
    assert (found["unseen-all", FINE_TUNED].log_loss != found["unseen-all", SHARED].log_loss).any()
    chosen = result["figures"]["penalties"]
    assert set(chosen) == {"0", "3", "all"}
    assert set(chosen.values()) <= set(PENALTIES)
    assert len(quick) == 2  # one body for everybody, one without the seed's users


@pytest.mark.slow
def test_what_a_killed_run_had_saved_is_neither_fitted_nor_judged_again(make_model_bench, quick, monkeypatch):
    bench = make_model_bench()
    _, first = run(bench, STAGES, UNIT)
    (bench.results_folder / "unseen-model-1.json").unlink()
    monkeypatch.setattr(unseen_model, "_rival", lambda *_: pytest.fail("fine-tuned again"))
    monkeypatch.setattr(unseen_model, "judged_together", lambda *_, **__: pytest.fail("judged again"))
    _, second = run(bench, STAGES, UNIT)
    assert second["arms"] == first["arms"]
    assert second["figures"]["penalties"] == first["figures"]["penalties"]


@pytest.mark.slow
def test_on_the_test_split_the_rival_has_the_penalty_that_validation_chose(
    make_model_bench, quick, tmp_path, monkeypatch
):
    monkeypatch.setenv("RECSYS_TEST_LEDGER", str(tmp_path / "ledger.jsonl"))
    _, validation = run(make_model_bench(), STAGES, UNIT)
    tried = []
    whole = unseen_model.gains_of_all
    monkeypatch.setattr(
        unseen_model, "gains_of_all", lambda tune, *rest: tried.append(tune.keywords["penalties"]) or whole(tune, *rest)
    )
    _, test = run(make_model_bench("test"), STAGES, UNIT)
    assert test["figures"]["penalties"] == validation["figures"]["penalties"]
    assert tried == [(penalty,) for penalty in validation["figures"]["penalties"].values()]
