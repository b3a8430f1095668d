"""Of given items a large catalogue's model says what it says of them among all, and looks at no others."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from recsys.context.batch import FeatureRow
from recsys.ranking.kept_heads import KeptHeads
from tests.ranking.large_models import ROWS, VOCABULARY, feature_row, fitted_model, scoring_every_item, searching

KINDS = [("lowrank", False), ("lowrank", True), ("gains", True), ("film", False), ("full", True)]
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
    monkeypatch.setattr("recsys.ranking.every_item._SCORES_AT_ONCE", 3 * len(VOCABULARY))
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
