"""The stages in order, with a body that needs no Ray: who is fitted on whom, and what cannot be fitted."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from recsys.context.sequences import prefix_contexts
from recsys.errors import ConfigError, DataError, TrainingError
from recsys.experts.body import BodyExpert, SequenceEncoder
from recsys.model.losses import RankingLoss
from recsys.model.personal import ModelConfig, build_model
from recsys.training import fit, held_out, stages
from recsys.training.attributes import ItemAttributes
from recsys.training.blend import fit_blend
from recsys.training.config import TrainConfig, load_config
from recsys.training.distributed import BodyRun
from recsys.training.progress import Silent
from recsys.training.targets import prepare

N_ITEMS = 15
SETTINGS = (
    "body.width=8",
    "body.heads=1",
    "body.layers=1",
    "body.length=6",
    "generator.epochs=2",
    "generator.hold_out=users",
    "generator.held_out_users=0.25",
    "generator.dropped_share=0.3",
    "memories.memory.ridges=[5.0, 5.0]",
)


def config(*more: str) -> TrainConfig:
    return load_config(overrides=[*SETTINGS, *more])


def walks(users: int = 40, events: int = 9) -> list[list[int]]:
    rng = np.random.default_rng(1)
    starts = rng.integers(0, N_ITEMS, users)
    return [[int((start + n) % N_ITEMS) + 1 for n in range(events)] for start in starts]


def with_events(sequences) -> tuple[str, ...]:
    return tuple(sequences.user_ids[u] for u in np.flatnonzero(sequences.lengths))


@pytest.fixture
def fitted_on(monkeypatch):
    """Replaces the body's fit; gives what each expert was fitted on, in order."""
    calls: list[tuple[str, tuple[str, ...]]] = []

    def body(sequences, attributes, settings, progress, *, clock, start=None, kept=None):
        calls.append(("body", with_events(sequences)))
        torch.manual_seed(settings.seed)
        items = torch.randn(attributes.n_items + 1, settings.body.width)
        items[0] = 0
        shape = settings.body.model_copy(update={"clock": clock})
        return BodyRun(BodyExpert(SequenceEncoder(shape), items), (1.5,))

    fits = stages.closed_form_fits

    def closed(sequences, attributes, settings, **kinds):
        calls.append(("closed form", with_events(sequences)))
        return fits(sequences, attributes, settings, **kinds)

    monkeypatch.setattr(stages, "fit_body_expert", body)
    monkeypatch.setattr(stages, "closed_form_fits", closed)
    return calls


NOTHING = ItemAttributes.none(N_ITEMS)


def run(sequences, settings=None, *, attributes=NOTHING, clock=True, repeats=False):
    profile = np.zeros((len(sequences), 0), np.float32)
    return fit.fit_model(
        sequences, profile, attributes, settings or config(), clock=clock, repeats=repeats, progress=Silent()
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
    np.testing.assert_allclose(run(sequences).model.network.log_popularity.numpy(), counts)


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


def test_the_same_seed_gives_the_same_tensors_and_another_one_others(fitted_on, make_sequences):
    sequences = make_sequences(*walks())
    one, again, other = run(sequences), run(sequences), run(sequences, config("seed=18"))
    assert all(torch.equal(tensor, again.model.tensors()[name]) for name, tensor in one.model.tensors().items())
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
    assert run(make_sequences(*two), attributes=ItemAttributes.none(2), repeats=True).model.network.n_items == 2
    with pytest.raises(DataError, match="Only 1 item has positive events; at least 2"):
        run(make_sequences(*([[1, 1, 1]] * 12)), attributes=ItemAttributes.none(1), repeats=True)


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


KINDS_OF_ITEMS = [[n % 3] for n in range(N_ITEMS)]
LONG = "memories.long={decays = [0.97], windows = [20], ridges = [5.0]}"


@pytest.mark.parametrize(
    ("settings", "data", "expected"),
    [
        ([], {}, "memory short long long_term popularity"),
        ([], {"repeats": True}, "memory short long long_term habit novelty popularity"),
        (["trend.half_life_days=3"], {}, "memory short long long_term trend popularity"),
        (["trend.half_life_days=3"], {"clock": False}, "memory short long long_term popularity"),
        (["memories.short.max_items=14"], {}, "memory long long_term popularity"),
    ],
)
def test_a_model_has_the_experts_that_are_asked_for_and_that_the_data_can_have(
    fitted_on, make_sequences, settings, data, expected
):
    found = run(make_sequences(*walks()), config(*settings), **data)
    assert found.model.network.names == ("body", *expected.split())
    assert [spec.name for spec in found.model.config.experts] == expected.split()


@pytest.mark.parametrize("clock", [True, False])
def test_a_model_of_every_expert_is_rebuilt_from_its_tensors_and_scores_alike(
    fitted_on, make_sequences, make_attributes, clock
):
    sequences = make_sequences(*walks())
    everything = config("trend.half_life_days=3", "repeat.half_life_days=90", LONG, 'discovery=["body", "content"]')
    found = run(sequences, everything, attributes=make_attributes(*KINDS_OF_ITEMS), clock=clock, repeats=True)
    assert {"content", "repeat", "habit", "novelty"} | ({"trend"} if clock else set()) <= set(found.model.network.names)
    stored = ModelConfig.model_validate_json(found.model.config.model_dump_json())
    again = build_model(stored, {name: tensor.clone() for name, tensor in found.model.tensors().items()})
    users = np.arange(10)
    context = prefix_contexts(sequences, users, users % 9, np.zeros((40, 0), np.float32), history_length=20)
    assert torch.equal(again.forward(context).scores, found.model.forward(context).scores)


def test_heads_that_read_little_are_rebuilt_and_score_alike(fitted_on, make_sequences):
    sequences = make_sequences(*walks())
    found = run(sequences, config('head.reads=["repetition", "activity"]'), repeats=True)
    whole = run(sequences, repeats=True)
    assert 0 < found.model.config.n_statistics < whole.model.config.n_statistics
    again = build_model(ModelConfig.model_validate_json(found.model.config.model_dump_json()), found.model.tensors())
    context = prefix_contexts(sequences, np.arange(5), np.arange(5), np.zeros((40, 0), np.float32), history_length=20)
    assert torch.equal(again.forward(context).scores, found.model.forward(context).scores)


def test_heads_that_would_read_nothing_are_refused(fitted_on, make_sequences):
    for reads, said in (('["repetition", "profile"]', "repetition, profile"), ("[]", "nothing")):
        with pytest.raises(ConfigError, match=rf"head\.reads names only {said}, which these data do not have"):
            run(make_sequences(*walks()), config("head.kind=gains", f"head.reads={reads}"))
    assert fitted_on == []


@pytest.mark.parametrize("baskets", [False, True])
def test_last_events_are_kept_from_the_experts_until_the_generator_is_trained(
    fitted_on, make_sequences, monkeypatch, baskets
):
    whole = make_sequences(*walks())
    pairs = replace(whole, times=whole.times // 7_200_000_000, baskets=True)
    sequences = pairs if baskets else whole
    events, fits = [], stages.closed_form_fits
    monkeypatch.setattr(
        stages, "closed_form_fits", lambda given, *rest, **kinds: events.append(given) or fits(given, *rest, **kinds)
    )
    found = run(
        sequences,
        config("generator.hold_out=last", "generator.beginners=0", f"generator.held_out_events={1 if baskets else 2}"),
        repeats=baskets,
    )
    before, after = events
    assert before.user_ids == after.user_ids == sequences.user_ids
    assert after.items.tolist() == sequences.items.tolist()
    assert (
        len(sequences.items) - len(before.items)
        == found.counts["generator_targets"] + found.counts["selection_targets"]
    )
    kept = sequences.known_before[sequences.offsets[1:] - 1] if baskets else sequences.lengths - 2
    assert before.lengths.tolist() == kept.tolist()


def test_beginnings_are_kept_from_the_experts_teach_heads_and_are_not_what_the_blend_goes_by(
    fitted_on, make_sequences, monkeypatch
):
    asked, events, fits = [], [], stages.closed_form_fits
    monkeypatch.setattr(
        held_out, "prepare", lambda network, **given: asked.append(given["targets"]) or prepare(network, **given)
    )
    monkeypatch.setattr(
        stages, "closed_form_fits", lambda given, *rest, **kinds: events.append(given) or fits(given, *rest, **kinds)
    )
    sequences = make_sequences(*walks())
    settings = ("generator.held_out_events=3", "generator.beginners=0.25", "generator.beginner_events=3")
    found = run(sequences, config("generator.hold_out=last", *settings))
    sample, everything = asked
    early = everything.lengths <= 3
    assert sorted(everything.lengths[early]) == sorted([1, 2, 3] * 10), "of nobody the very first event"
    assert sorted(everything.lengths[~early]) == sorted([6, 7, 8] * 40)
    assert set(sample.lengths) <= {6, 7, 8}
    assert found.counts["generator_targets"] + found.counts["selection_targets"] == 10 * 3 + 40 * 3
    before, after = events
    new = before.lengths == 9 - 4 - 3
    assert new.sum() == 10
    assert (before.lengths[~new] == 9 - 3).all()
    assert after.items.tolist() == sequences.items.tolist()
    assert set(np.flatnonzero(new)) == set(everything.users[early])


def test_experts_are_left_out_of_the_configuration_by_none(fitted_on, make_sequences, make_attributes):
    bare = config().model_copy(update={"memories": {}, "long_term": None, "content": None})
    found = run(make_sequences(*walks()), bare, attributes=make_attributes(*KINDS_OF_ITEMS))
    assert found.model.network.names == ("body", "popularity")


def test_repeat_and_habit_count_age_in_events_where_there_is_no_clock(fitted_on, make_sequences):
    for clock, age in ((True, "days"), (False, "events")):
        settings = config("repeat.half_life_events=90")
        model = run(make_sequences(*walks()), settings, clock=clock, repeats=True).model
        assert model.network.others["repeat"].config.age == age
        assert model.network.others["habit"].config.age == age


def test_heads_are_trained_and_served_at_the_scales_of_the_blend(fitted_on, make_sequences, monkeypatch):
    chosen, trained = [], []

    def blend(network, targets, loss):
        shared, scales = fit_blend(network, targets, loss)
        chosen.append(scales)
        return shared, scales

    def generator(network, prepared, shared, **given):
        trained.append((network.scales, prepared.scores.float()))
        return original(network, prepared, shared, **given)

    original = fit.fit_generator
    monkeypatch.setattr(held_out, "fit_blend", blend)
    monkeypatch.setattr(fit, "fit_generator", generator)
    found = run(make_sequences(*walks()))
    [scales], [(used, scores)] = chosen, trained
    assert torch.equal(used, scales)
    assert torch.equal(found.model.network.scales, scales)
    assert torch.equal(found.model.tensors()["scales"], scales)
    assert torch.isfinite(scores).all()


def test_blend_and_generator_are_fitted_by_the_loss_that_is_configured(fitted_on, make_sequences, monkeypatch):
    losses = []
    monkeypatch.setattr(held_out, "fit_blend", lambda *own: losses.append(own[2]) or fit_blend(*own))
    original = fit.fit_generator
    monkeypatch.setattr(
        fit, "fit_generator", lambda *own, **given: losses.append(given["loss"]) or original(*own, **given)
    )
    run(make_sequences(*walks()), config("generator.ndcg_weight=7", "generator.ndcg_sharpness=0.4"))
    assert losses == [RankingLoss(7.0, 0.4)] * 2


def test_the_blend_sees_complete_histories_of_users_that_train_only(fitted_on, make_sequences, monkeypatch):
    asked = []
    original = held_out.prepare

    def prepare(network, **given):
        asked.append(given["targets"])
        return original(network, **given)

    monkeypatch.setattr(held_out, "prepare", prepare)
    found = run(make_sequences(*walks()))
    sample, everything = asked
    assert sample.complete.all()
    assert not everything.complete.all()
    assert len(everything) == found.counts["generator_targets"] + found.counts["selection_targets"]
    assert len(set(sample.users)) < len(set(everything.users)), "those who choose the epoch are not among them"


def test_targets_are_fewer_where_their_scores_would_not_fit(fitted_on, make_sequences):
    gigabytes = 40 * N_ITEMS * (2 * 6 + 1) / 1e9
    found = run(make_sequences(*walks()), config(f"generator.target_gigabytes={gigabytes}"))
    assert found.counts["generator_targets"] + found.counts["selection_targets"] == 40


def test_with_baskets_nothing_of_a_targets_basket_is_known(fitted_on, make_sequences):
    own = make_sequences(*walks())
    baskets = replace(own, times=own.times // 3, baskets=True)
    found = run(baskets, repeats=True)
    assert all(torch.isfinite(tensor).all() for tensor in found.model.tensors().values())


def test_a_body_of_what_is_not_a_number_ends_the_run(fitted_on, make_sequences, monkeypatch):
    whole = stages.fit_body_expert

    def broken(*own, **named):
        run = whole(*own, **named)
        run.expert.items[3] = torch.nan
        return run

    monkeypatch.setattr(stages, "fit_body_expert", broken)
    with pytest.raises(TrainingError, match="not finite"):
        run(make_sequences(*walks()))


def test_users_of_one_basket_each_teach_heads_nothing_and_are_not_held_out(fitted_on, make_sequences):
    """Of forty users ten came back; three of these are held out, and everybody else is fitted on."""
    own = make_sequences(*walks(40, 4))
    once = np.repeat(np.arange(40) < 30, 4)
    days = np.where(once, 5, np.tile([5, 5, 5, 6], 40))
    found = run(replace(own, times=days, baskets=True), repeats=True)
    assert found.counts["generator_users"] == 3
    assert found.counts["generator_targets"] + found.counts["selection_targets"] == 3
    with pytest.raises(DataError, match="Only 0 users"):
        run(replace(own, times=np.full(160, 5), baskets=True), repeats=True)


@pytest.mark.parametrize("seed", range(4))
def test_where_dropout_leaves_no_complete_history_the_blend_takes_the_others(fitted_on, make_sequences, seed):
    own = make_sequences(*walks(12, 4))
    baskets = replace(own, times=np.tile([5, 5, 5, 6], 12), baskets=True)
    found = run(baskets, config(f"seed={seed}", "generator.dropped_share=0.99", "generator.keeps=[1]"), repeats=True)
    assert torch.isfinite(found.model.shared.gains).all()
