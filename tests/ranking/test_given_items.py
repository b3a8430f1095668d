"""Of given items a large catalogue's model says what it says of them among all, and looks at no others."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from recsys.context.batch import FeatureRow
from recsys.ranking import given_items
from recsys.ranking.kept_heads import KeptHeads
from tests.ranking.large_models import ROWS, VOCABULARY, feature_row, fitted_model, scoring_every_item, searching

KINDS = [("lowrank", False), ("lowrank", True), ("gains", True), ("film", False), ("full", True)]
EXPERTS = 4
"""Of a model whose items do not repeat."""
NOBODY = FeatureRow(user_id=None)
ASKED = (VOCABULARY[4_000], VOCABULARY[3], *ROWS[0].seen_items[:2], VOCABULARY[3], VOCABULARY[-1])


@pytest.fixture(scope="module", params=KINDS, ids=[f"{kind}-{'repeats' if own else 'once'}" for kind, own in KINDS])
def both(request):
    """The same model, over a catalogue that is searched and over one of which every item is scored."""
    kind, repeats = request.param
    model = fitted_model(kind=kind, repeats=repeats)
    return searching(model, repeats=repeats), scoring_every_item(model, repeats=repeats)


def near(found, truth):
    np.testing.assert_allclose(np.asarray(found), np.asarray(truth), atol=1e-5, rtol=1e-5)


def test_scores_are_those_of_the_whole_and_unknown_items_have_none(both):
    asked = [ASKED, ("who", *ASKED[:2]), ("who",), ()]
    found, truth = (own.estimate([*ROWS[:3], NOBODY], asked) for own in both)
    for own, whole, items in zip(found, truth, asked, strict=True):
        assert [score is None for score in own.scores] == [item == "who" for item in items]
        near([score for score in own.scores if score is not None], [s for s in whole.scores if s is not None])
        assert own.probabilities is None


def test_probabilities_are_those_of_the_whole(both):
    found, truth = (own.estimate(ROWS[:3], [ASKED] * 3, probabilities=True) for own in both)
    for own, whole in zip(found, truth, strict=True):
        near(own.probabilities, whole.probabilities)


def test_an_explanation_is_that_of_the_whole(both):
    found, truth = (own.explain(ROWS[0], ASKED) for own in both)
    assert [own.item_id for own in found] == list(ASKED)
    for own, whole in zip(found, truth, strict=True):
        near(own.score, whole.score)
        near(list(own.experts.values()), list(whole.experts.values()))
        near(sum(own.experts.values()), own.score)
        assert dict(own.history) == pytest.approx(dict(whole.history), abs=1e-5)


def test_without_a_history_there_is_an_explanation_too(both):
    found, truth = (own.explain(NOBODY, ASKED[:2]) for own in both)
    for own, whole in zip(found, truth, strict=True):
        near(own.score, whole.score)
        assert own.history == ()


@pytest.mark.parametrize("items", [ASKED, ()])
def test_a_portable_head_is_that_of_the_whole(both, items):
    found, truth = (own.portable(ROWS[0], items) for own in both)
    assert (found.kind, found.experts, set(found.tensors)) == (truth.kind, truth.experts, set(truth.tensors))
    for name, tensor in found.tensors.items():
        assert tensor.shape == truth.tensors[name].shape
        near(tensor, truth.tensors[name])


def test_no_expert_scores_every_item(monkeypatch):
    large = searching(fitted_model())
    for expert in large.model.network.others.values():
        monkeypatch.setattr(expert, "score", None)
    large.estimate(ROWS[:2], [ASKED, ASKED])
    large.explain(ROWS[0], ASKED)
    large.portable(ROWS[0], ASKED)


def test_what_is_kept_of_a_user_gives_the_same_scores_and_head():
    large = searching(fitted_model())
    keeping = large.keeping(KeptHeads(2**20), "model")
    first = keeping.estimate(ROWS[:1], [ASKED])
    assert first == keeping.estimate(ROWS[:1], [ASKED]) == large.estimate(ROWS[:1], [ASKED])
    kept, anew = keeping.portable(ROWS[0], ASKED), large.portable(ROWS[0], ASKED)
    assert all(torch.equal(tensor, anew.tensors[name]) for name, tensor in kept.tensors.items())


def test_many_contexts_are_scored_in_parts_and_none_is_lost(monkeypatch):
    monkeypatch.setattr("recsys.ranking.every_item._NUMBERS_AT_ONCE", 3 * EXPERTS * len(VOCABULARY))
    whole, rows = scoring_every_item(fitted_model()), [feature_row(seed) for seed in range(8)]
    items = [(VOCABULARY[n], "who") for n in range(8)]
    for probabilities in (False, True):
        found = whole.estimate(rows, items, probabilities=probabilities)
        for own, row, asked in zip(found, rows, items, strict=True):
            [alone] = whole.estimate([row], [asked], probabilities=probabilities)
            near(own.scores[0], alone.scores[0])
            assert own.scores[1] is None
            if probabilities:
                near(own.probabilities[0], alone.probabilities[0])


def test_no_more_contexts_than_fit_are_scored_at_a_time_whatever_is_asked(monkeypatch):
    monkeypatch.setattr("recsys.ranking.every_item._NUMBERS_AT_ONCE", 3 * EXPERTS * len(VOCABULARY) + 1)
    whole, rows = scoring_every_item(fitted_model()), [feature_row(seed) for seed in range(8)]
    assert len(whole.model.network.names) == EXPERTS
    popularity, sizes = whole.model.network.others["popularity"], []
    score = popularity.score
    monkeypatch.setattr(popularity, "score", lambda context: sizes.append(len(context)) or score(context))
    asked = [[VOCABULARY[0]]] * len(rows)
    for work, contexts in (
        (lambda: whole.estimate(rows, asked), [3, 3, 2]),
        (lambda: whole.estimate(rows, asked, probabilities=True), [3, 3, 2]),
        (lambda: whole.recommend(rows), [3, 3, 2]),
        (lambda: whole.explain(rows[0], VOCABULARY[:2]), [1, 3, 3, 1]),
    ):
        sizes.clear()
        work()
        assert sizes == contexts


def test_an_explanation_in_parts_is_that_at_once(monkeypatch):
    whole = scoring_every_item(fitted_model())
    at_once = whole.explain(ROWS[0], ASKED)
    monkeypatch.setattr("recsys.ranking.every_item._NUMBERS_AT_ONCE", 2 * EXPERTS * len(VOCABULARY))
    for own, other in zip(whole.explain(ROWS[0], ASKED), at_once, strict=True):
        near(own.score, other.score)
        assert dict(own.history) == pytest.approx(dict(other.history), abs=1e-5)


@pytest.mark.parametrize("repeats", [False, True], ids=["once", "repeats"])
def test_where_every_item_is_scored_too_those_asked_for_are_computed_alone_if_heads_allow_it(monkeypatch, repeats):
    model = fitted_model(repeats=repeats)
    truth = scoring_every_item(model, repeats=repeats)
    monkeypatch.setattr(given_items, "_FROM_ITEMS", len(VOCABULARY))
    alone = scoring_every_item(model, repeats=repeats)
    assert alone.large is None
    asked = [ASKED, ("who", *ASKED[:2]), ()]
    whole, explained = truth.estimate([*ROWS[:2], NOBODY], asked), truth.explain(ROWS[0], ASKED)
    chances, best = truth.estimate(ROWS[:1], [ASKED], probabilities=True), truth.recommend(ROWS[:2], k=5)
    assert alone.recommend(ROWS[:2], k=5) == best
    assert alone.estimate(ROWS[:1], [ASKED], probabilities=True) == chances
    with monkeypatch.context() as patch:
        for name in ("memory", "popularity"):
            patch.setattr(model.network.others[name], "score", None)
        found, why = alone.estimate([*ROWS[:2], NOBODY], asked), alone.explain(ROWS[0], ASKED)
        portable = alone.portable(ROWS[0], ASKED)
    for own, other in zip(found, whole, strict=True):
        near([s for s in own.scores if s is not None], [s for s in other.scores if s is not None])
    for own, other in zip(why, explained, strict=True):
        near(list(own.experts.values()), list(other.experts.values()))
        assert dict(own.history) == pytest.approx(dict(other.history), abs=1e-5)
    for name, tensor in truth.portable(ROWS[0], ASKED).tensors.items():
        near(portable.tensors[name], tensor)


def test_heads_that_read_the_opinions_of_every_item_are_made_from_every_item(monkeypatch, recommender, row):
    [truth] = recommender().estimate([row("abc")], [["k", "f"]])
    monkeypatch.setattr(given_items, "_FROM_ITEMS", 1)
    assert recommender().estimate([row("abc")], [["k", "f"]]) == [truth]
