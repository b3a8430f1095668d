"""How much of a history repeats itself, and in what portions."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from recsys.experts.novelty import NoveltyExpert
from recsys.model.repetition import SPANS, repetition, usual_basket
from recsys.model.scoring import ScoringNetwork
from recsys.model.statistics import context_statistics

LAST, MEAN, BASKETS = range(len(SPANS), len(SPANS) + 3)


def test_an_event_repeats_an_item_met_earlier_in_the_window(contexts):
    one, other = repetition(contexts([1, 2, 1, 1, 2], [1, 2, 3], length=8), baskets=False).tolist()
    assert one[: len(SPANS)] == pytest.approx([math.log(4 / 3)] * len(SPANS))
    assert other[: len(SPANS)] == pytest.approx([math.log(1 / 4)] * len(SPANS))


def test_a_span_counts_its_newest_events_only(contexts):
    (row,) = repetition(contexts([1] * 30 + [*range(2, 12)] * 2, length=60), baskets=False).tolist()
    assert row[0] == pytest.approx(math.log(11 / 11))
    assert row[1] == pytest.approx(math.log((29 + 10 + 1) / (1 + 10 + 1)))


def test_events_of_one_time_are_a_basket(contexts):
    context = contexts([1, 2, 3, 4, 5, 6])
    times = torch.tensor([[0, 0, 1, 1, 2, 2, 2, 2]])
    (row,) = repetition(replace(context, times=times), baskets=True).tolist()
    assert row[LAST] == pytest.approx(math.log1p(4))
    assert row[MEAN] == pytest.approx(math.log1p(3))
    assert row[BASKETS] == pytest.approx(math.log1p(2))
    assert usual_basket(replace(context, times=times), baskets=True).tolist() == [3]


def test_a_usual_basket_holds_at_least_one_event(contexts):
    assert usual_basket(contexts([], [5], [1, 2]), baskets=True).tolist() == [1, 1, 1]


def test_items_that_were_touched_in_another_way_change_nothing(contexts):
    """Online the seen set holds them, in training it does not."""
    context = contexts([1, 2, 1])
    touched = replace(
        context,
        seen=torch.tensor([1, 2, 7, 8, 9]),
        seen_offsets=torch.tensor([0, 5]),
        seen_counts=torch.tensor([2, 1, 0, 0, 0]),
        seen_last=torch.zeros(5, dtype=torch.int64),
    )
    assert torch.equal(repetition(touched, baskets=True), repetition(context, baskets=True))


@given(st.lists(st.lists(st.integers(1, 12), max_size=12), max_size=4))
def test_it_is_finite_for_every_history_and_alone_as_among_others(contexts, histories):
    found = repetition(contexts(*histories), baskets=True)
    assert found.shape == (len(histories), len(SPANS) + 3)
    assert torch.isfinite(found).all()
    for row, history in zip(found, histories, strict=True):
        torch.testing.assert_close(repetition(contexts(history), baskets=True)[0], row)


def test_of_nobody_nothing_is_said(contexts):
    assert repetition(contexts([]), baskets=True).tolist() == [[0.0] * (len(SPANS) + 3)]


def test_heads_read_it_where_items_repeat(network, contexts):
    context = contexts([1, 2, 1, 3])
    others = {**network.others, "novelty": NoveltyExpert(network.n_items)}
    repeating = ScoringNetwork(network.body, others, torch.ones(len(others) + 1), network.bases)
    assert repeating.repeats
    assert not network.repeats
    told = context_statistics(context, repeating.outputs(context), repeating, clock=False)[0].tolist()
    plain = context_statistics(context, network.outputs(context), network, clock=False)[0].tolist()
    own = repetition(context, baskets=False)[0].tolist()
    windows = lambda row: [row[at : at + len(SPANS)] for at in range(len(row))]  # noqa: E731
    assert any(part == pytest.approx(own) for part in windows(told))
    assert not any(part == pytest.approx(own) for part in windows(plain))
