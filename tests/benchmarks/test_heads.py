"""Heads of every kind and their controls: which arms there are, where they start, and whose contexts they are fed."""

import json

import numpy as np
import pytest
import torch
from torch import nn

from benchmarks.units import heads
from benchmarks.units.arms import load_arm
from benchmarks.units.claims import CONTROLS, HEAD_KINDS, SHARED, fed_mean, fed_others, head
from benchmarks.units.controls import concatenated, shared_matrix
from benchmarks.units.heads import HEADS, STAGES
from benchmarks.units.joint import Say
from benchmarks.units.runner import run_units
from benchmarks.units.stages import stages
from recsys.model.head import HeadWeights
from recsys.model.hypernetwork import Hypernetwork
from recsys.model.scoring import ExpertOutputs
from recsys.training.fit import fit_heads
from recsys.training.progress import Silent
from tests.benchmarks.conftest import basket_dataset, tiny_config, tiny_dataset


def run(bench, *units, **options):
    said = []
    paths = run_units(bench, units, progress=Silent(), say=said.append, **options)
    return [json.loads(path.read_text()) for path in paths], said


@pytest.mark.parametrize("dataset", [tiny_dataset, basket_dataset], ids=["single targets", "baskets"])
def test_there_is_an_arm_for_everything_that_is_claimed(make_model_bench, body_fits, dataset):
    (experts, result), _ = run(make_model_bench(dataset=dataset()), STAGES, HEADS, seeds=(0, 1))
    names = {(entry["name"], entry["seed"]) for entry in result["arms"]}
    generated = [form(kind) for kind in HEAD_KINDS for form in (head, _others, _mean)]
    alone = {(f"expert: {name}", 0) for name in experts["figures"]["blend"]}
    assert names == {(name, seed) for name in (*generated, *CONTROLS) for seed in (0, 1)} | alone | {(SHARED, 0)}
    assert len(result["arms"]) == len(names)
    assert {"body", "memory", "long_term", "popularity"} <= set(experts["figures"]["blend"])
    assert body_fits == [17]


def _others(kind):
    return fed_others(head(kind))


def _mean(kind):
    return fed_mean(head(kind))


def test_heads_of_no_difference_are_the_blend_whoever_they_are_fed(make_model_bench, body_fits, monkeypatch):
    def untrained(held, config, progress):
        made = Hypernetwork(config.head, held.prepared.statistics.shape[1], len(held.network.names), held.network.width)
        made.start_from(made.inputs(held.prepared.statistics, held.prepared.states)[held.train], held.shared)
        return made, {"generator_selection_loss": [1.0]}

    monkeypatch.setattr(heads, "fit_heads", untrained)
    bench = make_model_bench()
    (result,), _ = run(bench, HEADS, seeds=(0,))
    arms = {entry["name"]: load_arm(bench.arms_folder, entry) for entry in result["arms"]}
    blend = arms[SHARED]
    for name in (form(kind) for kind in HEAD_KINDS for form in (head, _others, _mean)):
        np.testing.assert_array_equal(arms[name].ranks, blend.ranks)
        np.testing.assert_allclose(arms[name].log_loss, blend.log_loss, rtol=1e-5)
    np.testing.assert_array_equal(arms[head("gains")].log_loss, blend.log_loss)


class Recording(nn.Module):
    """In a generator's place: gives everybody the gains that its inputs are."""

    def inputs(self, statistics, states):
        return statistics

    def forward(self, inputs, known):
        return HeadWeights(inputs * known[:, None], torch.zeros(len(inputs)))


def test_rolled_inputs_are_another_users(make_model_bench, body_fits):
    network = stages(make_model_bench(), tiny_config(), Silent()).final
    users = 5
    told = torch.arange(users * len(network.names), dtype=torch.float32).reshape(users, -1)
    outputs = made_up_outputs(network, users)
    say = Say(outputs, told, torch.ones(users, dtype=torch.bool), np.arange(users))
    own = heads.generated(network, Recording(), say)
    others = heads.generated(network, Recording(), say, change=heads.rolled)
    before = [(user - 1) % users for user in range(users)]
    assert all(user != other for user, other in enumerate(before))
    torch.testing.assert_close(own, torch.einsum("ben,be->bn", outputs.scores, told))
    # The experts' say stays the user's own.
    torch.testing.assert_close(others, torch.einsum("ben,be->bn", outputs.scores, told[before]))


def made_up_outputs(network, users):
    rng = torch.Generator().manual_seed(0)
    scores = torch.randn(users, len(network.names), network.n_items, generator=rng)
    return ExpertOutputs(torch.randn(users, network.width, generator=rng), scores)


def test_trained_heads_of_others_and_of_the_mean_score_otherwise(make_model_bench, body_fits, monkeypatch):
    eager = tiny_config("generator.learning_rate=0.05", "generator.epochs=5")
    monkeypatch.setattr(heads, "configuration", lambda _: eager)
    bench = make_model_bench()
    (result,), _ = run(bench, HEADS, seeds=(0,))
    losses = {entry["name"]: entry["metrics"]["log_loss"] for entry in result["arms"]}
    assert losses[_others("gains")] != losses[head("gains")] != losses[_mean("gains")]


def test_a_finished_unit_is_not_fitted_again(make_model_bench, body_fits, monkeypatch):
    fits = []
    monkeypatch.setattr(heads, "HEAD_KINDS", ("gains", "film"))
    monkeypatch.setattr(heads, "fit_heads", lambda *own: fits.append(own[1].seed) or fit_heads(*own))
    run(make_model_bench(), STAGES, HEADS, seeds=(0,))
    _, said = run(make_model_bench(), STAGES, HEADS, seeds=(0,))
    assert fits == [0, 0]
    assert all("skipped" in line for line in said)
    monkeypatch.setattr(heads, "configuration", lambda _: tiny_config("generator.epochs=1"))
    _, said = run(make_model_bench(), HEADS, seeds=(0,))
    assert len(fits) == 4
    assert "inputs changed" in said[0]


def test_a_unit_that_was_cut_short_goes_on_with_the_seeds_that_lack(make_model_bench, body_fits, monkeypatch):
    fits = []

    def failing_once(held, config, progress):
        fits.append(config.seed)
        if config.seed == 1 and fits.count(1) == 1:
            raise KeyboardInterrupt
        return fit_heads(held, config, progress)

    monkeypatch.setattr(heads, "fit_heads", failing_once)
    with pytest.raises(KeyboardInterrupt):
        run(make_model_bench(), STAGES, HEADS, seeds=(0, 1))
    (result,), _ = run(make_model_bench(), HEADS, seeds=(0, 1))
    assert fits == [0] * len(HEAD_KINDS) + [1] + [1] * len(HEAD_KINDS)
    assert {entry["seed"] for entry in result["arms"]} == {0, 1}


@pytest.mark.parametrize("control", [shared_matrix, concatenated])
def test_controls_start_at_the_blend_and_say_how_large_they_are(make_model_bench, body_fits, control, tmp_path):
    config = tiny_config("generator.learning_rate=0.01")
    found = stages(make_model_bench(), config, Silent())
    held = found.held_out
    generator, curves = fit_heads(held, config, Silent())
    steer, said = control(held, found.final, config, 0, tmp_path)
    losses = said["selection_loss"]
    assert losses["blend"] == pytest.approx(curves["generator_selection_loss"][0], abs=2e-3)
    assert losses["best"] <= losses["blend"]
    assert 1 <= said["epochs"] <= config.generator.epochs
    as_large = sum(own.numel() for own in generator.parameters())
    assert said["parameters"] == sum(own.numel() for own in steer.args[1].parameters()) + len(found.final.names)
    assert said["parameters"] == pytest.approx(as_large, rel=0.25)


@pytest.mark.parametrize("control", [shared_matrix, concatenated])
def test_controls_that_learn_nothing_are_the_blend(make_model_bench, body_fits, control, tmp_path):
    config = tiny_config("generator.learning_rate=1e-30")
    found = stages(make_model_bench(), config, Silent())
    steer, _ = control(found.held_out, found.final, config, 0, tmp_path)
    users = 6
    outputs = made_up_outputs(found.final, users)
    outputs.scores[:, 0] = outputs.states @ found.final.body.items[1:].T / found.final.scales[0]
    statistics = torch.randn(users, found.held_out.prepared.statistics.shape[1])
    expected = found.final.score(outputs, found.held_out.shared)
    torch.testing.assert_close(
        steer(Say(outputs, statistics, torch.ones(users, dtype=torch.bool), np.arange(users))),
        expected,
        rtol=1e-4,
        atol=1e-4,
    )


def test_controls_of_another_seed_are_others(make_model_bench, body_fits, tmp_path):
    config = tiny_config("generator.learning_rate=0.05")
    found = stages(make_model_bench(), config, Silent())
    losses = [
        concatenated(found.held_out, found.final, config, seed, tmp_path / str(run))[1]["selection_loss"]
        for run, seed in enumerate((0, 0, 1))
    ]
    assert losses[0] == losses[1]
    assert losses[0]["blend"] == losses[2]["blend"]
    assert losses[0] != losses[2]


@pytest.mark.parametrize("control", [shared_matrix, concatenated])
def test_controls_start_at_the_blend_where_the_body_speaks_of_new_items_only(
    make_model_bench, body_fits, control, tmp_path
):
    config = tiny_config("generator.learning_rate=1e-30", 'discovery=["body", "popularity"]')
    found = stages(make_model_bench(dataset=basket_dataset()), config, Silent())
    assert found.final.discovers.any()
    _, said = control(found.held_out, found.final, config, 0, tmp_path)
    _, curves = fit_heads(found.held_out, config, Silent())
    assert said["selection_loss"]["blend"] == pytest.approx(curves["generator_selection_loss"][0], abs=2e-3)
