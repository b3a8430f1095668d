"""Arms judged together are judged as each would be alone."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch

from benchmarks.units import joint
from benchmarks.units.joint import judged_together
from benchmarks.units.scoring import scored_arm
from benchmarks.units.stages import profiles, stages
from recsys.evaluation.cases import Cases
from recsys.training.progress import Silent
from tests.benchmarks.conftest import basket_dataset, tiny_config, tiny_dataset


def repeating(dataset):
    """Every third user's last two events are of items they had before."""
    own = dataset.sequences
    items = own.items.copy()
    for back in (1, 2):
        items[own.offsets[1::3] - back] = items[own.offsets[:-1][::3]]
    dataset.sequences = replace(own, items=items)
    return dataset


def masked():
    return repeating(tiny_dataset())


def repeated():
    dataset = repeating(tiny_dataset())
    dataset.schema.repeats = True
    return dataset


def uneven_baskets():
    """Baskets of up to four events, many with an item twice."""
    dataset = basket_dataset()
    own = dataset.sequences
    rng = np.random.default_rng(2)
    twice = rng.random(len(own.items) // 2) < 0.3
    pairs = own.items.reshape(-1, 2).copy()
    pairs[twice, 1] = pairs[twice, 0]
    fortnights = np.repeat(own.times[::4], 4)
    dataset.sequences = replace(own, items=pairs.ravel(), times=fortnights).keep(rng.random(len(own.items)) < 0.8)
    return dataset


def fitted(bench):
    found = stages(bench, tiny_config(), Silent())
    return found.final, found.held_out.shared


def together(bench, network, arms, **named):
    return judged_together(bench, network, arms, profiles(bench), {}, **named)


@pytest.mark.parametrize("split", ["validation", "test"])
@pytest.mark.parametrize("dataset", [tiny_dataset, masked, repeated, basket_dataset, uneven_baskets])
def test_arms_are_what_their_scorers_are_alone(make_model_bench, body_fits, monkeypatch, dataset, split):
    monkeypatch.setattr(joint, "_BASKET_BLOCK", 7)
    bench = make_model_bench(split, dataset())
    network, shared = fitted(bench)
    arms = {
        ("blend", 0): lambda say: network.score(say.outputs, shared),
        ("body", 3): lambda say: say.outputs.scores[:, 0],
    }
    blend, body = together(bench, network, arms)
    assert (blend.name, blend.seed, body.name, body.seed) == ("blend", 0, "body", 3)
    for arm, key in ((blend, ("blend", 0)), (body, ("body", 3))):

        def alone(context, steer):
            return steer(joint.Say(network.outputs(context), torch.zeros(0), context.any_known, np.zeros(0)))

        expected = scored_arm(bench, *key, partial(alone, steer=arms[key]), profile=profiles(bench))
        np.testing.assert_array_equal(arm.users, expected.users)
        np.testing.assert_array_equal(arm.ranks, expected.ranks)
        np.testing.assert_allclose(arm.log_loss, expected.log_loss, rtol=1e-4)
        assert arm.values.keys() == expected.values.keys() == ({"ndcg@10", "recall@10"} if bench.baskets else set())
        for name, values in expected.values.items():
            np.testing.assert_array_equal(arm.values[name], values)
    assert blend.ranks.tolist() != body.ranks.tolist()


def test_what_cannot_be_recommended_is_last_and_costs_a_uniform_guess(make_model_bench, body_fits):
    bench = make_model_bench(dataset=masked())
    network, shared = fitted(bench)
    (arm,) = together(bench, network, {("blend", 0): lambda say: network.score(say.outputs, shared)})
    impossible = arm.users % 3 == 0
    assert (arm.ranks[impossible] == 30).all()
    assert (arm.ranks[~impossible] < 30).all()
    distinct = [len(set(bench.whole.items[bench.whole.offsets[u] :][:n])) for u, n in zip(*known(bench), strict=True)]
    np.testing.assert_allclose(arm.log_loss[impossible], np.log(30 - np.array(distinct))[impossible], rtol=1e-6)


def known(bench):
    return bench.cases.users, bench.cases.known


def test_a_steer_is_told_whose_contexts_these_are(make_model_bench, body_fits):
    for dataset in (tiny_dataset(), basket_dataset()):
        bench = make_model_bench(dataset=dataset)
        network, _ = fitted(bench)
        told = []

        def steer(say, network=network, told=told):
            told.extend(say.users.tolist())
            assert len(say.statistics) == len(say.users)
            return torch.zeros(len(say.users), network.n_items)

        (arm,) = together(bench, network, {("nothing", 0): steer})
        assert told == arm.users.tolist()


def test_a_constant_scorer_is_nothing_worth(make_model_bench, body_fits):
    for dataset in (tiny_dataset(), basket_dataset()):
        bench = make_model_bench(dataset=dataset)
        network, _ = fitted(bench)
        (arm,) = together(
            bench, network, {("flat", 0): lambda say: torch.zeros(len(say.users), say.outputs.scores.shape[2])}
        )
        assert arm.per_user("ndcg@10").sum() == 0


def test_other_cases_are_single_targets_under_their_own_name(make_model_bench, body_fits):
    bench = make_model_bench(dataset=basket_dataset())
    network, shared = fitted(bench)
    cases = Cases(np.array([3, 5]), np.array([4, 6]), bench.whole.items[bench.whole.offsets[[3, 5]] + [4, 6]])
    arms = {("blend", 0): lambda say: network.score(say.outputs, shared)}
    (arm,) = together(bench, network, arms, cases=cases, protocol="unseen-4")
    assert (arm.protocol, arm.users.tolist(), dict(arm.values)) == ("unseen-4", [3, 5], {})
