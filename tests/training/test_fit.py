"""The stages in order, with a body that needs no Ray: who is fitted on whom, and what cannot be fitted."""

import numpy as np
import pytest
import torch

from recsys.errors import ConfigError, DataError
from recsys.experts.body import BodyExpert, SequenceEncoder
from recsys.model.personal import build_model
from recsys.training import fit
from recsys.training.config import TrainConfig, load_config
from recsys.training.distributed import BodyRun
from recsys.training.progress import Silent

N_ITEMS = 15
SETTINGS = (
    "body.width=8",
    "body.heads=1",
    "body.layers=1",
    "body.length=6",
    "generator.epochs=2",
    "generator.held_out_users=0.25",
    "memory.ridges=[5.0, 5.0]",
)


def config(*more: str) -> TrainConfig:
    return load_config(overrides=[*SETTINGS, *more])


def walks(users: int = 40, events: int = 9) -> list[list[int]]:
    rng = np.random.default_rng(1)
    starts = rng.integers(0, N_ITEMS, users)
    return [[int((start + n) % N_ITEMS) + 1 for n in range(events)] for start in starts]


@pytest.fixture
def fitted_on(monkeypatch):
    """Replaces the body's fit; gives what each expert was fitted on, in order."""
    calls: list[tuple[str, tuple[str, ...]]] = []

    def body(sequences, n_items, settings, progress):
        calls.append(("body", sequences.user_ids))
        torch.manual_seed(settings.seed)
        items = torch.randn(n_items + 1, settings.body.width)
        items[0] = 0
        return BodyRun(BodyExpert(SequenceEncoder(settings.body), items), (1.5,))

    closed_form = fit.fit_closed_form

    def closed(sequences, n_items, settings, progress, note):
        calls.append(("closed form", sequences.user_ids))
        return closed_form(sequences, n_items, settings, progress, note)

    monkeypatch.setattr(fit, "fit_body_expert", body)
    monkeypatch.setattr(fit, "fit_closed_form", closed)
    return calls


def run(sequences, settings=None, *, n_items=N_ITEMS, clock=True, repeats=False):
    profile = np.zeros((len(sequences), 0), np.float32)
    return fit.fit_model(
        sequences, profile, n_items, settings or config(), clock=clock, repeats=repeats, progress=Silent()
    )


def test_the_generators_users_are_seen_by_no_expert_until_it_is_trained(fitted_on, make_sequences):
    sequences = make_sequences(*walks())
    found = run(sequences)
    assert [name for name, _ in fitted_on] == ["body", "closed form", "closed form"]
    body, before, after = (set(users) for _, users in fitted_on)
    assert body == before
    assert len(body) == 30
    assert after == set(sequences.user_ids)
    assert found.counts["generator_users"] == 10
    assert found.counts["generator_targets"] + found.counts["selection_targets"] == 10 * 8
    assert found.counts["users"] == 40
    assert found.counts["events"] == 40 * 9


def test_the_model_serves_experts_fitted_on_everyone(fitted_on, make_sequences):
    sequences = make_sequences(*walks())
    counts = np.log1p(np.bincount(sequences.items - 1, minlength=N_ITEMS)).astype(np.float32)
    np.testing.assert_allclose(run(sequences).model.log_popularity.numpy(), counts)


def test_those_who_choose_the_epoch_train_nothing(fitted_on, make_sequences, monkeypatch):
    seen = {}

    def generator(network, prepared, shared, **given):
        seen.update(given)
        return original(network, prepared, shared, **given)

    original = fit.fit_generator
    monkeypatch.setattr(fit, "fit_generator", generator)
    run(make_sequences(*walks()))
    train, selection = seen["train_rows"].tolist(), seen["selection_rows"].tolist()
    assert sorted(train + selection) == list(range(80))
    assert {row // 8 for row in train}.isdisjoint(row // 8 for row in selection)
    assert selection


@pytest.mark.parametrize("kind", ["gains", "film", "lowrank", "full"])
def test_every_kind_of_head_fits_and_is_rebuilt(fitted_on, make_sequences, kind):
    found = run(make_sequences(*walks()), config(f"head.kind={kind}"))
    again = build_model(found.model.config, found.model.tensors())
    assert again.tensors().keys() == found.model.tensors().keys()
    assert len(found.curves["generator_selection_loss"]) == len(found.curves["generator_loss"]) + 1
    assert found.curves["body_loss"] == [1.5]
    assert 0 <= found.calibration.probabilities(np.array([0.5]))[0] <= 1


def test_the_same_seed_gives_the_same_tensors_and_another_one_others(fitted_on, make_sequences):
    sequences = make_sequences(*walks())
    one, again, other = run(sequences), run(sequences), run(sequences, config("seed=18"))
    assert all(torch.equal(tensor, again.model.tensors()[name]) for name, tensor in one.model.tensors().items())
    assert one.calibration == again.calibration
    assert not torch.equal(one.model.shared.gains, other.model.shared.gains)


def test_items_that_are_all_equally_popular_are_no_reason_to_fail(fitted_on, make_sequences):
    balanced = [[(start + n) % N_ITEMS + 1 for n in range(N_ITEMS)] for start in range(N_ITEMS)]
    assert torch.isfinite(run(make_sequences(*balanced)).model.shared.gains).all()


def test_users_with_no_or_one_event_and_those_who_repeat_are_fine(fitted_on, make_sequences):
    awkward = [*walks(12, 4), [], [3], [5, 5, 5, 5], [7] * 30]
    found = run(make_sequences(*awkward), repeats=True)
    assert all(torch.isfinite(tensor).all() for tensor in found.model.tensors().values())


def test_two_items_are_enough_and_one_is_not(fitted_on, make_sequences):
    two = [[1, 2, 1, 2]] * 12
    assert run(make_sequences(*two), n_items=2, repeats=True).model.network.n_items == 2
    with pytest.raises(DataError, match="Only 1 item has positive events; at least 2"):
        run(make_sequences(*([[1, 1, 1]] * 12)), n_items=1, repeats=True)


def test_too_few_users_are_told_how_many_are_needed(fitted_on, make_sequences):
    with pytest.raises(DataError, match="Only 9 users have two or more training events.*at least 10"):
        run(make_sequences(*walks(9), [1], []))
    assert fitted_on == []


def test_a_half_life_without_a_clock_is_refused_before_anything_is_fitted(fitted_on, make_sequences):
    with pytest.raises(ConfigError, match=r"popularity\.half_life_days needs real times"):
        run(make_sequences(*walks()), config("popularity.half_life_days=3"), clock=False)
    assert fitted_on == []


def test_most_users_may_be_held_out(fitted_on, make_sequences):
    found = run(make_sequences(*walks(10, 3)), config("generator.held_out_users=0.89"))
    assert found.counts["generator_users"] == 9
