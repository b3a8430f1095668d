"""Explanations are computed from the model: shares that add up, and history items whose absence is really felt."""

from dataclasses import replace

import pytest

from recsys.errors import ConfigError


def test_the_experts_shares_add_up_to_the_score(recommender, row):
    subject, user = recommender(), row("abcde")
    scores = subject.score([user])[0].tolist()
    explained = subject.explain(user, ["k", "f", "a"])
    assert [one.item_id for one in explained] == ["k", "f", "a"]
    for one in explained:
        assert one.score == pytest.approx(scores[subject.vocabulary.index(one.item_id)])
        assert set(one.experts) == {"body", "memory", "long_term", "popularity"}
        assert sum(one.experts.values()) == pytest.approx(one.score, abs=1e-4)


@pytest.mark.parametrize("items", ["abcde", "abcad", "aaaa", "a"])
def test_without_a_named_history_item_the_score_falls_by_what_is_said(recommender, row, items):
    subject, user = recommender(), row(items)
    for one in subject.explain(user, ["k", "f", "g", "h"]):
        falls = [fall for _, fall in one.history]
        assert falls == sorted(falls, reverse=True)
        assert len(falls) <= 3
        for item, fall in one.history:
            assert fall > 0
            kept = [n for n, own in enumerate(items) if own != item]
            without = replace(
                user,
                history_items=tuple(items[n] for n in kept),
                history_times=tuple(user.history_times[n] for n in kept),
                history_values=tuple(user.history_values[n] for n in kept),
                seen_items=tuple(own for own in user.seen_items if own != item),
                event_count=len(kept),
            )
            lower = float(subject.score([without])[0, subject.vocabulary.index(one.item_id)])
            assert lower < one.score
            assert one.score - lower == pytest.approx(fall, abs=1e-4)


def test_something_in_the_history_speaks_for_the_best_item(recommender, row):
    subject, user = recommender(), row("abcde")
    best = subject.recommend([user], k=1)[0].item_ids[0]
    assert subject.explain(user, [best])[0].history


def test_without_a_history_no_item_is_behind_it(recommender, row):
    [one] = recommender().explain(row(""), ["c"])
    assert one.history == ()
    assert one.experts["body"] == 0


def test_history_items_that_the_model_does_not_know_are_no_reason(recommender, row):
    [one] = recommender().explain(row("xay"), ["c"])
    assert {item for item, _ in one.history} <= {"a"}


def test_items_that_the_model_does_not_know_are_all_named(recommender, row):
    with pytest.raises(ConfigError, match="x, y"):
        recommender().explain(row("a"), ["x", "b", "y"])


def test_no_items_need_no_explanation(recommender, row):
    assert recommender().explain(row("ab"), []) == []
