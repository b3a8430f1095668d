"""What is recommended: the best of what may be, in a stable order, as many as asked for where there are so many."""

import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from recsys.context.batch import FeatureRow
from recsys.errors import ConfigError
from recsys.model.calibration import Calibration, Line
from recsys.ranking.recommender import Recommender
from recsys.ranking.top_k import top_k

POPULARITY = 3


def test_the_best_scores_come_first_and_nothing_seen_comes(recommender, row):
    subject, user = recommender(), row("abc")
    [ranking] = subject.recommend([user], k=5)
    scores = dict(zip(subject.vocabulary, subject.score([user])[0].tolist(), strict=True))
    unseen = sorted((item for item in scores if item not in "abc"), key=scores.__getitem__, reverse=True)
    assert list(ranking.item_ids) == unseen[:5]
    assert list(ranking.scores) == pytest.approx([scores[item] for item in unseen[:5]])


def test_touched_items_without_an_event_in_the_history_are_seen_too(recommender, row):
    [ranking] = recommender().recommend([row("ab", seen="abklj")], k=12)
    assert not set(ranking.item_ids) & set("abklj")
    assert len(ranking.item_ids) == 7


def test_seen_items_stay_where_items_repeat_unless_asked_otherwise(recommender, row):
    user = row("abc")
    for repeats, exclude_seen, expected in (
        (True, None, 12),
        (True, True, 9),
        (False, None, 9),
        (False, False, 12),
    ):
        [ranking] = recommender(repeats=repeats).recommend([user], k=12, exclude_seen=exclude_seen)
        assert len(ranking.item_ids) == expected, (repeats, exclude_seen)


def test_excluded_items_and_those_outside_the_choice_do_not_come(recommender, row):
    subject = recommender()
    [ranking] = subject.recommend([row("a")], k=12, exclude_items=["b", "b", "unheard-of"])
    assert set(ranking.item_ids) == set("cdefghijkl")
    [ranking] = subject.recommend([row("a")], k=12, include_only=["a", "d", "c", "unheard-of"])
    assert set(ranking.item_ids) == set("cd")
    [ranking] = subject.recommend([row("a")], k=12, include_only=["c", "d"], exclude_items=["d"])
    assert ranking.item_ids == ("c",)


@pytest.mark.parametrize("choice", [[], ["unheard-of"], ["a"]])
def test_when_nothing_may_be_recommended_nothing_is(recommender, row, choice):
    assert recommender().recommend([row("a")], include_only=choice)[0].item_ids == ()


def test_a_user_who_has_seen_everything_gets_nothing_and_no_probability(recommender, row):
    subject, user = recommender(), row("abcdefghijkl")
    [ranking] = subject.recommend([user], k=3)
    assert (ranking.item_ids, ranking.scores) == ((), ())
    assert subject.probabilities([user]).tolist() == [[0.0] * 12]


def test_more_than_there_are_gives_all_there_are(recommender, row):
    assert len(recommender().recommend([row("ab")], k=10_000)[0].item_ids) == 10


@pytest.mark.parametrize("k", [0, -1])
def test_less_than_one_item_is_refused(recommender, row, k):
    with pytest.raises(ConfigError, match="at least 1"):
        recommender().recommend([row("a")], k=k)


def test_nobody_gets_no_rankings(recommender):
    assert recommender().recommend([]) == []
    assert recommender().score([]).shape == (0, 12)


def test_a_user_of_whom_nothing_is_known_gets_what_is_popular(recommender):
    subject = recommender(only=POPULARITY)
    [ranking] = subject.recommend([FeatureRow(user_id=None)], k=12)
    assert "".join(ranking.item_ids) == "abcdefghijkl"


def test_ties_have_one_order_whatever_is_asked_and_whoever_else_asks(recommender, row):
    subject, users = recommender(only=POPULARITY), [row("a"), row("dk"), row("")]
    longest = [ranking.item_ids for ranking in subject.recommend(users, k=12)]
    assert ["".join(items) for items in longest] == ["bcdefghijkl", "abcefghijl", "abcdefghijkl"]
    for k in range(1, 12):
        for user, whole in zip(users, longest, strict=True):
            assert subject.recommend([user], k=k)[0].item_ids == whole[:k]


def test_many_users_of_a_large_catalogue_are_ranked_a_few_at_a_time_and_alike(recommender, row, monkeypatch):
    subject, users = recommender(), [row("abc"), row("k"), row(""), row("dkl"), row("b")]
    together = subject.recommend(users, k=4, moments=[5, 4, 3, 2, 1])
    monkeypatch.setattr("recsys.ranking.every_item._NUMBERS_AT_ONCE", 2 * 4 * len(subject.vocabulary))
    for own, expected in zip(subject.recommend(users, k=4, moments=[5, 4, 3, 2, 1]), together, strict=True):
        assert own.item_ids == expected.item_ids
        assert own.scores == pytest.approx(expected.scores, abs=1e-5)


def test_history_items_that_the_model_does_not_know_change_no_score(recommender, row):
    subject, known = recommender(), row("abc")
    mixed = replace(
        known,
        history_items=("a", "x", "b", "c", "y"),
        history_times=(*known.history_times[:1], 5, *known.history_times[1:], 6),
        history_values=(1.0,) * 5,
        seen_items=tuple("axbcy"),
    )
    assert torch.equal(subject.score([mixed]), subject.score([known]))
    assert subject.recommend([mixed]) == subject.recommend([known])


def test_probabilities_are_calibrated_and_zero_for_what_may_not_be_recommended(recommender, row):
    subject, user = recommender(), row("abc")
    probabilities = subject.probabilities([user])[0]
    assert probabilities[:3].tolist() == [0, 0, 0]
    softmax = torch.softmax(subject.score([user])[0, 3:], dim=0)
    odds = torch.logit(softmax.double()) - 1  # the line of this recommender
    torch.testing.assert_close(probabilities[3:], torch.sigmoid(odds))


def test_an_item_is_the_likelier_in_a_basket_the_more_somebody_takes_at_once(recommender, row):
    calibration = Calibration(Line(1.0, -1.0, per_size=2.0))
    single = recommender(repeats=True).calibrated(calibration)
    schema = replace(single.schema, clock=True, repeats=True, baskets=True)
    of_baskets = Recommender(single.model, single.encoder, schema, calibration, "7")
    user = replace(row("abcd"), history_times=(1_000_000, 1_000_000, 2_000_000, 2_000_000))
    softmax = torch.softmax(single.score([user])[0], dim=0).double()
    for subject, size in ((single, 1.0), (of_baskets, 2.0)):
        odds = torch.logit(softmax) - 1 + 2 * math.log(size)
        torch.testing.assert_close(subject.probabilities([user])[0], torch.sigmoid(odds))


def test_heads_are_those_of_the_scores(recommender, row):
    subject, users = recommender(), [row("abc"), row("k")]
    head = subject.heads(users)
    outputs = subject.model.network.outputs(subject.encoder.encode(users))
    torch.testing.assert_close(subject.model.network.score(outputs, head), subject.score(users))


def test_it_describes_itself(recommender):
    assert recommender().describe() == {
        "version": "7",
        "head": "lowrank",
        "experts": ["body", "memory", "long_term", "popularity"],
        "items": 12,
    }


@given(
    st.lists(st.lists(st.sampled_from([-float("inf"), -1.0, 0.0, 2.0]), min_size=7, max_size=7), max_size=4),
    st.integers(1, 7),
)
def test_top_k_is_a_stable_sort(rows, k: int):
    values, columns = top_k(torch.tensor(rows).reshape(len(rows), 7), k)
    expected = [sorted(range(7), key=lambda column: -own[column])[:k] for own in rows]
    assert columns.tolist() == expected
    assert values.tolist() == [[own[column] for column in best] for own, best in zip(rows, expected, strict=True)]


def test_among_many_ties_the_first_columns_win():
    scores = torch.randint(0, 3, (4, 1000), generator=torch.Generator().manual_seed(0)).float()
    best = [sorted(range(1000), key=lambda column: -own[column])[:50] for own in scores.tolist()]
    assert scores.topk(5).indices.tolist() != [own[:5] for own in best]
    for k in (5, 50):
        assert top_k(scores, k)[1].tolist() == [own[:k] for own in best]
