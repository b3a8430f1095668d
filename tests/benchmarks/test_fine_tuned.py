"""Stored heads: how far the penalty lets them go, who has none, and where the penalty is chosen."""

import json

import numpy as np
import pytest
import torch

from benchmarks.units import fine_tuned
from benchmarks.units.arms import load_arm
from benchmarks.units.claims import FINE_TUNED, SHARED
from benchmarks.units.fine_tuned import FINE_TUNED_HEADS, PENALTIES
from benchmarks.units.heads import HEADS, STAGES
from benchmarks.units.runner import run_units
from benchmarks.units.stages import stages
from recsys.errors import ConfigError
from recsys.evaluation.ledger import LEDGER_VARIABLE
from recsys.training.held_out import ranking_loss
from recsys.training.progress import Silent
from tests.benchmarks.conftest import basket_dataset, tiny_config, tiny_dataset

HUGE = 1e9


def run(bench, *units, **options):
    paths = run_units(bench, units, progress=Silent(), say=lambda _: None, **options)
    return [json.loads(path.read_text()) for path in paths]


def with_newcomers(dataset, newcomers: int = 4):
    """The first users keep three events: one to train, one for validation, one for test."""
    own = dataset.sequences
    dataset.sequences = own.without_last(np.where(np.arange(len(own)) < newcomers, own.lengths - 3, 0))
    return dataset


def tuned(bench, users, *penalties):
    """(penalties, users, experts) gains less those of the blend."""
    found = stages(bench, tiny_config(), Silent())
    network, shared = found.final, found.held_out.shared
    loss = ranking_loss(tiny_config())
    gains = fine_tuned.tuned_gains(bench, bench.train, network, shared, users, penalties, loss)
    return torch.stack(gains) - shared.gains


@pytest.mark.parametrize("dataset", [tiny_dataset, basket_dataset], ids=["single targets", "baskets"])
def test_the_penalty_says_how_far_heads_go(make_model_bench, body_fits, dataset):
    bench = make_model_bench(dataset=dataset())
    users = np.arange(len(bench.train))
    names = stages(bench, tiny_config(), Silent()).final.names
    # These households try nothing new in their last weeks: novelty has nothing to learn from them.
    told = [place for place, name in enumerate(names) if name != "novelty"]
    free, held, none = tuned(bench, users, 0.01, 300.0, HUGE).abs().amax(1)[:, told]
    assert (free > 3 * held).all()
    assert (held > none).all()
    assert (free > 0.5).any()
    assert none.max() < 1e-3


def test_users_of_whom_nothing_is_known_keep_the_blend(make_model_bench, body_fits):
    bench = make_model_bench(dataset=with_newcomers(tiny_dataset()))
    (gains,) = tuned(bench, np.arange(8), 0.1)
    assert not gains[:4].any()
    assert (gains[4:].abs().amax(1) > 0).all()
    (nobody,) = tuned(bench, np.arange(4), 0.1)
    assert nobody.shape == gains[:4].shape
    assert not nobody.any()


def test_users_are_tuned_on_their_own_events_only(make_model_bench, body_fits):
    bench = make_model_bench()
    together = tuned(bench, np.arange(10), 1.0)
    alone = tuned(bench, np.arange(3, 6), 1.0)
    torch.testing.assert_close(alone, together[:, 3:6], rtol=1e-3, atol=1e-4)


def test_heads_learn_from_the_newest_training_events(make_model_bench, body_fits, monkeypatch):
    monkeypatch.setattr(fine_tuned, "EVENTS", 3)
    bench = make_model_bench(dataset=with_newcomers(tiny_dataset(), 1))
    train = bench.train
    targets, owner = fine_tuned._newest(train, np.array([0, 2, 7]))
    assert owner.tolist() == [1, 1, 1, 2, 2, 2]
    assert targets.users.tolist() == [2, 2, 2, 7, 7, 7]
    for user in (2, 7):
        own = targets.take(np.flatnonzero(targets.users == user))
        length = int(train.lengths[user])
        assert own.lengths.tolist() == [length - 3, length - 2, length - 1]
        assert own.items.tolist() == train.items[train.offsets[user + 1] - 3 : train.offsets[user + 1]].tolist()
    assert targets.complete.all()


def test_the_penalty_is_chosen_on_validation_and_read_from_there(make_model_bench, body_fits, tmp_path, monkeypatch):
    ledger = tmp_path / "ledger.jsonl"
    monkeypatch.setenv(LEDGER_VARIABLE, str(ledger))
    monkeypatch.setattr(fine_tuned, "STEPS", 6)
    units = (STAGES, FINE_TUNED_HEADS)
    with pytest.raises(ConfigError, match="'fine-tuned' has no result on the validation split"):
        run(make_model_bench("test"), *units)
    _, chosen = run(make_model_bench(), *units)
    assert not ledger.exists()
    figures = chosen["figures"]
    scores = {penalty: own["ndcg@10"] for penalty, own in figures["trials"].items()}
    assert sorted(scores, key=float) == [str(penalty) for penalty in PENALTIES]
    best = figures["chosen"]["penalty"]
    assert scores[str(best)] == max(scores.values())
    arms = {entry["name"]: entry for entry in chosen["arms"]}
    assert arms[FINE_TUNED]["metrics"] == arms[f"{FINE_TUNED}, penalty {best:g}"]["metrics"]
    assert arms[FINE_TUNED]["notes"]["stored_numbers_a_user"] > 1

    _, tested = run(make_model_bench("test"), *units)
    assert tested["figures"] == figures
    assert [entry["name"] for entry in tested["arms"]] == [FINE_TUNED]
    assert tested["arms"][0]["notes"]["penalty"] == best
    assert [json.loads(line)["unit"] for line in ledger.read_text().splitlines()] == ["fine-tuned"]
    assert body_fits == [17]


def test_under_a_huge_penalty_the_arm_is_the_blend(make_model_bench, body_fits, monkeypatch):
    monkeypatch.setattr(fine_tuned, "PENALTIES", (HUGE,))
    monkeypatch.setattr("benchmarks.units.heads.HEAD_KINDS", ())
    bench = make_model_bench()
    _, heads, stored = run(bench, STAGES, HEADS, FINE_TUNED_HEADS, seeds=(0,))
    blend = next(load_arm(bench.arms_folder, entry) for entry in heads["arms"] if entry["name"] == SHARED)
    own = next(load_arm(bench.arms_folder, entry) for entry in stored["arms"] if entry["name"] == FINE_TUNED)
    np.testing.assert_array_equal(own.users, blend.users)
    np.testing.assert_allclose(own.log_loss, blend.log_loss, atol=1e-2)
