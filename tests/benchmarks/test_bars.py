"""A batch bar is held to one line, fixed in advance; what it loses in NDCG decides whether it counts."""

import pytest

from benchmarks.scale import comparisons
from benchmarks.scale.comparisons import COMPARISONS
from benchmarks.scale.conditions import FALLBACK_TOP, Conditions
from benchmarks.scale.lines import DENSE, FROM_CONTEXTS, HEADS_GIVEN, NARROW, SPARSE, line_name

FOUND = {
    "content_hash": "abc",
    "trained": True,
    "top": 100,
    "loss_by_weights_a_row": {"50": 0.002, "100": 0.0004},
    "loss_with_body_in_bfloat16": 0.0001,
}


def ratios(**of_ways):
    names = {"sparse": SPARSE, "dense": DENSE, "narrow": NARROW}
    return {
        "ratios": {
            line_name(start, names[way]): {"median": ratio}
            for way, ratio in of_ways.items()
            for start in (HEADS_GIVEN, FROM_CONTEXTS)
        }
    }


def test_as_many_weights_a_row_as_were_found_to_be_enough_for_this_model():
    known = Conditions.of(FOUND, "abc")
    assert known.top == 100
    assert known.said(SPARSE) == {"ndcg_loss": 0.0004, "condition_met": True}
    assert known.said(NARROW) == {"ndcg_loss": 0.0001, "condition_met": True}
    assert known.said(DENSE) == {"ndcg_loss": 0.0, "condition_met": True}


def test_what_was_found_for_another_model_says_nothing_of_this_one():
    unknown = Conditions.of(FOUND, "another")
    assert unknown.top == FALLBACK_TOP
    assert unknown.said(SPARSE) == unknown.said(NARROW) == {"ndcg_loss": None, "condition_met": None}


def test_an_untrained_model_has_nothing_to_lose_and_meets_no_condition():
    unknown = Conditions.of({**FOUND, "trained": False}, "abc")
    assert (unknown.met(SPARSE), unknown.met(NARROW)) == (None, None)


def test_weights_a_row_that_are_asked_for_lose_what_was_measured_for_as_many():
    assert Conditions.of(FOUND, "abc", top=50).said(SPARSE) == {"ndcg_loss": 0.002, "condition_met": False}
    assert Conditions.of(FOUND, "abc", top=70).met(SPARSE) is None


def test_where_none_was_enough_it_is_said():
    losses = {"50": 0.01, str(FALLBACK_TOP): 0.004}
    none = Conditions.of({**FOUND, "top": None, "loss_by_weights_a_row": losses}, "abc")
    assert none.said(SPARSE) == {"ndcg_loss": 0.004, "condition_met": False}


@pytest.mark.parametrize(
    ("ratio", "loss", "met"), [(0.3, 0.0004, True), (0.29, 0.0004, False), (0.9, 0.0006, False), (0.9, None, None)]
)
def test_implicit_is_held_against_sparse_memories_that_lose_little(ratio, loss, met):
    known = Conditions.of({**FOUND, "loss_by_weights_a_row": {"100": loss}}, "abc")
    judged = COMPARISONS["implicit"].bar.judged(ratios(sparse=ratio, dense=9.0), known)
    assert judged["line"] == line_name(HEADS_GIVEN, SPARSE)
    assert (judged["bar"], judged["ratio"], judged["met"]) == (0.3, ratio, met)
    assert judged["condition_met"] == known.met(SPARSE)


@pytest.mark.parametrize(
    ("native", "loss", "way", "met"),
    [
        (True, 0.0001, NARROW, False),
        (True, 0.0006, DENSE, True),
        (True, None, DENSE, True),
        (False, 0.0001, DENSE, True),
    ],
)
def test_recbole_is_held_against_the_narrow_body_where_that_costs_nothing_whatever_its_speed(
    monkeypatch, native, loss, way, met
):
    monkeypatch.setattr(comparisons, "multiplies_bfloat16", lambda: native)
    known = Conditions.of({**FOUND, "loss_with_body_in_bfloat16": loss}, "abc")
    judged = COMPARISONS["RecBole"].bar.judged(ratios(sparse=9.0, dense=2.5, narrow=1.5), known)
    assert (judged["line"], judged["met"]) == (line_name(FROM_CONTEXTS, way), met)


def test_without_a_ratio_a_bar_is_neither_met_nor_missed():
    judged = COMPARISONS["RecBole"].bar.judged({}, Conditions.of(FOUND, "abc"))
    assert (judged["ratio"], judged["met"]) == (None, None)


def test_implicit_looks_for_its_fastest_way_on_everybody():
    assert COMPARISONS["implicit"].sample is None
