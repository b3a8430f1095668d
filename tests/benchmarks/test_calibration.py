"""Calibration is judged on users who did not help with it, by the lists of the head that ships."""

import json

import numpy as np
import pytest
import torch

from benchmarks.units import calibration
from benchmarks.units.calibration import CALIBRATION
from benchmarks.units.heads import STAGES
from benchmarks.units.runner import run_units
from recsys.evaluation.calibrating import calibrates
from recsys.training.progress import Silent
from tests.benchmarks.conftest import basket_dataset, tiny_config, tiny_dataset


@pytest.mark.parametrize("dataset", [tiny_dataset, basket_dataset], ids=["single targets", "baskets"])
@pytest.mark.parametrize("split", ["validation", "test"])
def test_users_who_helped_to_calibrate_are_left_out(make_model_bench, body_fits, monkeypatch, dataset, split):
    monkeypatch.setattr(calibration, "configuration", lambda _: tiny_config())
    bench = make_model_bench(dataset=dataset(), split=split)
    paths = run_units(bench, [STAGES, CALIBRATION], progress=Silent(), say=lambda _: None, seeds=(0, 1))
    figures = json.loads(paths[1].read_text())["figures"]
    assert set(figures["by_seed"]) == {"0", "1"}
    evaluated = (bench.basket_cases if bench.baskets else bench.cases).users
    helped = calibrates([bench.whole.user_ids[user] for user in evaluated])
    found = figures["by_seed"]["0"]
    assert found["users_who_calibrated"] == helped.sum() > 0
    assert found["users"] == (~helped).sum() > 0
    assert found["list"]["predictions"] == found["users"]
    assert found["item"]["predictions"] == 10 * found["users"]
    assert 0 < found["item"]["base_rate"] <= found["list"]["base_rate"] <= 1


def test_on_the_test_split_validation_targets_calibrate(make_model_bench, body_fits, monkeypatch):
    monkeypatch.setattr(calibration, "configuration", lambda _: tiny_config())
    found = []
    for split in ("validation", "test"):
        bench = make_model_bench(dataset=tiny_dataset(), split=split)
        paths = run_units(bench, [STAGES, CALIBRATION], progress=Silent(), say=lambda _: None, seeds=(0,))
        found.append(json.loads(paths[1].read_text())["figures"]["by_seed"]["0"])
    assert found[0]["calibration"] == found[1]["calibration"]
    assert found[0]["item"]["mean_probability"] != found[1]["item"]["mean_probability"]


def test_masked_items_are_in_no_list_and_targets_are_hits():
    scores = torch.tensor([[3.0, 2.0, 1.0, 0.0]])
    masked = torch.tensor([[True, False, False, False]])
    said, hits, there = calibration._lists(scores, masked, torch.tensor([[2, -1]]))
    mass = np.exp([2.0, 1.0, 0.0])
    np.testing.assert_allclose(said, [[*mass / mass.sum(), 0]], rtol=1e-6)
    assert hits.tolist() == [[False, True, False, False]]
    assert there.tolist() == [[True, True, True, False]]
