"""What the generator sees is finite for every context there can be, and blind to what it must not see."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.model.scoring import ScoringNetwork
from recsys.model.statistics import _opinions as context_opinions
from recsys.model.statistics import _two_highest as two_highest
from recsys.model.statistics import context_statistics


@pytest.fixture
def statistics(network):
    def compute(context, *, clock=True):
        return context_statistics(context, network.outputs(context), network, clock=clock)

    return compute


def test_they_are_finite_for_no_event_one_event_and_nobody(statistics, contexts):
    assert torch.isfinite(statistics(contexts([], [3], [3, 3]))).all()
    assert statistics(contexts()).shape[0] == 0


def test_they_are_finite_for_events_at_one_time_and_for_absurd_times(statistics, contexts):
    context = contexts([1, 2, 3, 4], [5, 6])
    same = replace(context, times=torch.where(context.history > 0, 7, 0))
    found = statistics(same)
    assert torch.isfinite(found).all()
    backwards = replace(context, times=context.times.flip(1))
    assert torch.isfinite(statistics(backwards)).all()
    far = replace(context, times=torch.where(context.history > 0, torch.tensor([-(2**60), 2**60] * 4), 0))
    assert torch.isfinite(statistics(far)).all()


def test_without_a_clock_times_say_nothing(statistics, contexts):
    context = contexts([1, 2, 3], [4, 5])
    other = replace(context, times=context.times * 3)
    assert torch.equal(statistics(context, clock=False), statistics(other, clock=False))
    assert not torch.equal(statistics(context), statistics(other))
    assert statistics(context, clock=False).shape[1] < statistics(context).shape[1]


def test_a_catalogue_of_one_item_has_no_margin():
    highest, second = two_highest(torch.tensor([[[3.0], [-1.0]]]))
    assert highest.tolist() == second.tolist() == [[3.0, -1.0]]
    assert torch.isfinite(torch.cat(context_opinions(torch.tensor([[[3.0], [-1.0]]])), dim=1)).all()


def test_the_moment_of_the_target_plays_no_part(statistics, contexts):
    context = contexts([1, 2, 3])
    assert torch.equal(statistics(context), statistics(replace(context, moment=context.moment + 10**15)))


def test_the_profile_is_among_them(statistics, contexts):
    context = replace(contexts([1], [2]), profile=torch.tensor([[0.25, -3.0], [1.0, 0.0]]))
    assert statistics(context)[:, -2:].tolist() == [[0.25, -3.0], [1.0, 0.0]]


def test_time_gaps_are_those_between_known_events(statistics, contexts):
    context = contexts([1, 2, 3], [4])
    plain = statistics(context, clock=False).shape[1]
    with_clock = statistics(context)
    activity_and_popularity = 8
    gaps = with_clock[:, activity_and_popularity : activity_and_popularity + with_clock.shape[1] - plain]
    hour = torch.log1p(torch.tensor(3600.0))
    torch.testing.assert_close(gaps, torch.stack([torch.stack([hour, hour * 0, hour, hour]), torch.zeros(4)]))


@settings(max_examples=30)
@given(histories=st.lists(st.lists(st.integers(1, 12), max_size=10), min_size=1, max_size=5), clock=st.booleans())
def test_a_users_statistics_do_not_depend_on_the_batch(model, contexts, histories, clock):
    own = model(clock=clock)
    together = own.forward(contexts(*histories))
    found = own.statistics(contexts(*histories), together.outputs)
    assert torch.isfinite(found).all()
    for row, history in enumerate(histories):
        alone = contexts(history)
        expected = own.statistics(alone, own.network.outputs(alone))
        torch.testing.assert_close(found[row : row + 1], expected, atol=1e-4, rtol=1e-4)


def test_heads_read_only_the_groups_that_they_are_given(network, contexts):
    context = replace(contexts([1, 2, 1], [3]), profile=torch.tensor([[0.5], [2.0]]))
    outputs = network.outputs(context)

    def reading(*groups):
        own = ScoringNetwork(network.body, network.others, network.scales, network.bases, reads=groups)
        return context_statistics(context, outputs, own, clock=True)

    whole = context_statistics(context, outputs, network, clock=True)
    parts = [
        reading(name) for name in ("activity", "popularity", "times", "coherence", "repetition", "opinions", "profile")
    ]
    assert torch.equal(torch.cat(parts, dim=1), whole)
    assert torch.equal(reading("profile", "activity"), torch.cat([whole[:, :4], context.profile], dim=1))
    assert reading("repetition").shape == (2, 0), "no expert tells new items from known ones here"


def test_the_entropy_of_an_opinion_does_not_depend_on_where_its_scale_begins():
    scores = torch.randn(2, 3, 500, generator=torch.Generator().manual_seed(0))
    entropy, moved = (context_opinions(scores + start)[0] for start in (0.0, -1_024.0))
    expected = torch.distributions.Categorical(logits=scores.double()).entropy().float()
    torch.testing.assert_close(entropy, expected)
    torch.testing.assert_close(moved, context_opinions((scores - 1_024.0) + 1_024.0)[0])


@given(st.lists(st.lists(st.sampled_from([-2.0, 0.5, 3.0]), min_size=5, max_size=5), min_size=1, max_size=4))
def test_the_second_highest_opinion_may_be_as_high_as_the_first(rows):
    scores = torch.tensor(rows)[None]
    highest, second = two_highest(scores)
    expected = scores.sort(dim=2, descending=True).values
    assert torch.equal(highest, expected[:, :, 0])
    assert torch.equal(second, expected[:, :, 1])
