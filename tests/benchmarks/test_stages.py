"""The experts that head arms share are fitted once, and what is read back is what was fitted."""

import numpy as np
import pytest
import torch

from benchmarks.units import stages as module
from benchmarks.units.stages import profiles, seconds_of, stages
from benchmarks.units.training_part import without_share
from recsys.context.sequences import prefix_contexts
from recsys.evaluation.unseen import held_out_users
from recsys.training.progress import Silent
from recsys.training.stages import stages_on
from tests.benchmarks.conftest import N_ITEMS, basket_dataset, tiny_config, tiny_dataset


@pytest.fixture
def fitted(monkeypatch):
    """What the stages were when they were fitted, in order."""
    found = []

    def fit(*own, **named):
        found.append(stages_on(*own, **named))
        return found[-1]

    monkeypatch.setattr(module, "stages_on", fit)
    return found


def outputs(bench, network):
    users = np.arange(len(bench.train))
    context = prefix_contexts(bench.train, users, bench.train.lengths, profiles(bench), history_length=50)
    return network.outputs(context)


@pytest.mark.parametrize("dataset", [tiny_dataset, basket_dataset], ids=["single targets", "baskets"])
def test_stages_are_read_back_as_they_were_fitted(make_model_bench, body_fits, fitted, dataset):
    bench = make_model_bench(dataset=dataset())
    read = stages(bench, tiny_config(), Silent())
    (made,) = fitted
    assert read is not made
    for there, here in ((made.final, read.final), (made.held_out.network, read.held_out.network)):
        assert here.names == there.names
        expected, got = outputs(bench, there), outputs(bench, here)
        assert torch.equal(got.states, expected.states)
        assert torch.equal(got.scores, expected.scores)
        assert torch.equal(here.bases, there.bases)
        assert torch.equal(here.scales, there.scales)
    one, other = made.held_out, read.held_out
    for name in ("scores", "states", "statistics", "items", "masked"):
        stored = getattr(other.prepared, name)
        assert stored.dtype == getattr(one.prepared, name).dtype
        assert torch.equal(stored, getattr(one.prepared, name))
    for name in ("users", "items", "lengths", "keep"):
        np.testing.assert_array_equal(getattr(other.targets, name), getattr(one.targets, name))
    assert torch.equal(other.shared.flat(), one.shared.flat())
    assert torch.equal(other.train, one.train)
    assert torch.equal(other.selection, one.selection)
    assert (read.body_losses, read.held_out_users) == (made.body_losses, made.held_out_users)


def test_stages_are_fitted_once_for_the_same_inputs_whatever_the_kind_of_head(make_model_bench, body_fits):
    bench = make_model_bench()
    assert np.isnan(seconds_of(bench, tiny_config()))
    stages(bench, tiny_config(), Silent())
    stages(make_model_bench(), tiny_config(), Silent())
    stages(make_model_bench("test"), tiny_config("head.kind=gains", "head.hidden=4"), Silent())
    assert len(body_fits) == 1
    assert seconds_of(bench, tiny_config()) >= 0


def test_other_configurations_and_data_have_stages_of_their_own(make_model_bench, body_fits, tmp_path):
    first = stages(make_model_bench(), tiny_config(), Silent())
    stages(make_model_bench(), tiny_config("seed=18"), Silent())
    wider = stages(make_model_bench(), tiny_config("head.rank=3"), Silent())
    stages(make_model_bench(dataset=tiny_dataset(seed=1)), tiny_config(), Silent())
    assert body_fits == [17, 18, 17]  # the rank of the heads is nothing to the body
    assert len(list((tmp_path / "work" / "tiny").glob("stages-*"))) == 4
    assert torch.equal(wider.final.body.items, first.final.body.items)
    assert (first.final.bases.shape[-1], wider.final.bases.shape[-1]) == (2, 3)
    stages(make_model_bench(), tiny_config("generator.hold_out=last"), Silent())
    assert body_fits == [17, 18, 17, 17], "its body knows other events"


def test_stages_that_were_cut_short_go_on_with_the_body_that_was_done(make_model_bench, body_fits, monkeypatch):
    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(module, "_save_network", killed)
        with pytest.raises(KeyboardInterrupt):
            stages(make_model_bench(), tiny_config(), Silent())
    assert len(stages(make_model_bench(), tiny_config(), Silent()).held_out.train)
    assert len(body_fits) == 1


def test_stages_without_the_users_of_a_seed_are_others(make_model_bench, body_fits):
    bench = make_model_bench()
    found = stages(bench, tiny_config(), Silent(), without_share(1))
    held = held_out_users(len(bench.whole), 1)
    assert not np.isin(found.held_out.targets.users, held).any()
    known = bench.train.lengths.copy()
    known[held] = 0
    items = np.repeat(known > 0, bench.train.lengths)
    counts = np.bincount(bench.train.items[items] - 1, minlength=N_ITEMS)
    torch.testing.assert_close(found.final.others["popularity"].log_counts, torch.from_numpy(np.log1p(counts)).float())
    stages(bench, tiny_config(), Silent())
    assert len(body_fits) == 2
