"""Next basket: the last month is for the test, the basket before it for validation, the rest trains."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import polars as pl
import pytest
import torch

from recsys.context.sequences import build_sequences
from recsys.data.schema import WorkspaceSchema
from recsys.errors import DataError
from recsys.evaluation.next_basket import basket_cases, next_basket, rank_baskets, training_sequences
from recsys.events.fold import fold
from recsys.events.log import LOG_SCHEMA
from recsys.events.ordering import interactions
from recsys.experts.repeat import RepeatConfig, RepeatExpert
from recsys.metrics.basket import basket_recall

SCHEMA = WorkspaceSchema(name="groceries", repeats=True, baskets=True)
VOCABULARY = list("abcdefg")

BASKETS = [
    ("ann", "2017-01-05", "ab"),
    ("ann", "2017-02-05", "bc"),
    ("ann", "2017-10-31", "ad"),
    ("ann", "2017-12-01", "cae"),
    ("ann", "2017-12-20", "g"),
    ("bob", "2017-03-01", "a"),
    ("bob", "2017-12-02", "b"),
    ("cy", "2017-03-01", "ef"),
    ("cy", "2017-04-01", "e"),
    ("dee", "2017-12-05", "ab"),
    ("dee", "2017-12-31", "c"),
]
"""The data end on the last of December; their last month begins on the first (a month before, cut to 30 November)."""


def log_of(baskets):
    rows = []
    for user, day, items in baskets:
        at = int(datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp()) * 1_000_000
        rows += [
            (len(rows) + n, f"{user}{day}{n}", user, item, at, 0, None, None, 0) for n, item in enumerate(items, 1)
        ]
    return pl.DataFrame(rows, schema=LOG_SCHEMA, orient="row")


LOG = log_of(BASKETS)
POSITIVE = interactions(LOG, SCHEMA)
WHOLE = build_sequences(POSITIVE, VOCABULARY)


def test_the_test_target_is_the_first_basket_of_the_last_month():
    split = next_basket(POSITIVE, "test")
    assert dict(zip(split.user_ids, split.target_items, strict=True)) == {"ann": ("c", "a", "e")}
    assert len(split) == 1


def test_the_validation_target_is_the_last_basket_before_it():
    split = next_basket(POSITIVE, "validation")
    assert dict(zip(split.user_ids, split.target_items, strict=True)) == {"ann": ("a", "d"), "cy": ("e",)}


@pytest.mark.parametrize("name", ["validation", "test"])
def test_a_context_holds_every_event_before_the_target_and_none_of_it(name):
    split = next_basket(POSITIVE, name)
    before = pl.DataFrame({"user_id": split.user_ids, "effective_at": split.moments})
    rows = dict(fold(LOG, SCHEMA, before=before).select("user_id", "history_items").iter_rows())
    assert rows["ann"] == list("abbc" if name == "validation" else "abbcad")


def test_what_trains_ends_before_the_validation_target_and_nobodys_last_month_trains():
    train = training_sequences(WHOLE)
    events = [
        "".join(VOCABULARY[item - 1] for item in train.items[start:end])
        for start, end in zip(train.offsets[:-1], train.offsets[1:], strict=True)
    ]
    assert dict(zip(train.user_ids, events, strict=True)) == {"ann": "abbc", "bob": "a", "cy": "ef", "dee": ""}


@pytest.mark.parametrize("name", ["validation", "test"])
def test_sequences_and_interactions_tell_the_same_baskets(name):
    split, cases = next_basket(POSITIVE, name), basket_cases(WHOLE, name)
    assert split.user_ids == tuple(WHOLE.user_ids[user] for user in cases.users)
    starts = WHOLE.offsets[cases.users] + cases.known
    own = [
        {VOCABULARY[item - 1] for item in WHOLE.items[start : start + size]}
        for start, size in zip(starts, cases.sizes, strict=True)
    ]
    assert own == [set(items) for items in split.target_items]


def test_baskets_are_ranked_by_a_scorer_over_contexts():
    cases = basket_cases(WHOLE, "validation")
    scorer = RepeatExpert(len(VOCABULARY), RepeatConfig(half_life_days=None)).score
    ranks = rank_baskets(scorer, WHOLE, cases)
    assert ranks.shape == (2, 2)
    # Ann bought b twice, a and c once, d never; cy bought e and f once each: a tie.
    assert ranks.tolist() == [[2, 6], [1, -1]]
    assert basket_recall(ranks, 3).tolist() == [0.5, 1]


def test_an_item_twice_in_a_basket_is_one_target():
    twice = build_sequences(
        interactions(log_of([*BASKETS[:2], ("ann", "2017-03-05", "ee"), BASKETS[4]]), SCHEMA), VOCABULARY
    )
    ranks = rank_baskets(
        lambda context: torch.arange(7.0).expand(len(context), -1), twice, basket_cases(twice, "validation")
    )
    assert ranks.tolist() == [[2, -1]]


def test_data_without_enough_baskets_are_refused_with_what_is_missing():
    with pytest.raises(DataError, match="2 baskets before the last month"):
        next_basket(interactions(log_of(BASKETS[5:7]), SCHEMA), "validation")
    with pytest.raises(DataError, match="and one in it"):
        next_basket(interactions(log_of(BASKETS[:2] + BASKETS[7:]), SCHEMA).filter(pl.col("user_id") != "ann"), "test")
    with pytest.raises(DataError):
        training_sequences(WHOLE.keep(np.zeros(len(WHOLE.items), bool)))
