"""Diverse lists: zero changes nothing, more makes neighbours less alike, and scores stay the model's."""

import pytest
import torch

from recsys.errors import ConfigError
from recsys.ranking.diversity import POOL, diverse_order, pool_size


def largest_cosine(subject, item_ids):
    """Of the two items that are most alike."""
    vectors = subject.model.network.unit_items[subject.encoder.item_indices(item_ids)]
    cosines = vectors @ vectors.T - 2 * torch.eye(len(item_ids))
    return float(cosines.max())


def test_no_diversity_is_exactly_the_plain_ranking(recommender, row):
    subject, user = recommender(), row("abc")
    assert subject.recommend([user], k=6, diversity=0.0) == subject.recommend([user], k=6)


def test_the_best_item_stays_first_and_scores_stay_the_models(recommender, row):
    subject, user = recommender(), row("abc")
    [plain], [mixed] = subject.recommend([user], k=6), subject.recommend([user], k=6, diversity=0.8)
    scores = dict(zip(subject.vocabulary, subject.score([user])[0].tolist(), strict=True))
    assert mixed.item_ids[0] == plain.item_ids[0]
    assert mixed.item_ids != plain.item_ids
    assert list(mixed.scores) == pytest.approx([scores[item] for item in mixed.item_ids])
    assert len(set(mixed.item_ids)) == 6


def test_diverse_items_are_less_alike(recommender, row):
    subject, users = recommender(), [row(history) for history in ("abc", "fa", "kjh", "l", "dgi")]
    alike = [
        sum(largest_cosine(subject, one.item_ids) for one in subject.recommend(users, k=4, diversity=diversity))
        for diversity in (0.0, 1.0)
    ]
    assert alike[1] < alike[0] - 0.5


def test_diversity_brings_nothing_that_may_not_come(recommender, row):
    subject = recommender()
    [ranking] = subject.recommend([row("abc")], k=12, diversity=1.0, exclude_items=["d"])
    assert set(ranking.item_ids) == set("efghijkl")


def test_each_place_goes_to_the_best_trade_of_relevance_and_likeness():
    scores = torch.tensor([3.0, 2.9, 1.0])
    vectors = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    assert diverse_order(scores, vectors, 3, 0.0).tolist() == [0, 1, 2]
    assert diverse_order(scores, vectors, 3, 0.1).tolist() == [0, 1, 2]
    assert diverse_order(scores, vectors, 3, 0.6).tolist() == [0, 2, 1]
    assert diverse_order(scores, vectors, 2, 0.6).tolist() == [0, 2]


def test_equal_scores_and_a_single_item_are_ordered_too():
    assert diverse_order(torch.ones(3), torch.zeros(3, 2), 3, 0.5).tolist() == [0, 1, 2]
    assert diverse_order(torch.ones(1), torch.zeros(1, 2), 5, 1.0).tolist() == [0]


def test_what_lies_beyond_the_pool_keeps_its_order():
    n = POOL + 5
    order = diverse_order(torch.arange(n, 0, -1.0), torch.randn(n, 4), n, 0.9).tolist()
    assert order[POOL:] == list(range(POOL, n))
    assert sorted(order) == list(range(n))


@pytest.mark.parametrize(
    ("k", "n_items", "size"), [(1, 50, 50), (1, 500, 100), (50, 5_000, 250), (5_000, 9_000, 5_000)]
)
def test_a_list_is_chosen_among_several_times_its_length(k, n_items, size):
    assert pool_size(k, n_items) == size


@pytest.mark.parametrize("diversity", [-0.1, 1.1, float("nan")])
def test_diversity_outside_its_range_is_refused(recommender, row, diversity):
    with pytest.raises(ConfigError, match="from 0 to 1"):
        recommender().recommend([row("a")], diversity=diversity)
