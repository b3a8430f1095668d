"""A schema's `baskets` decides the protocol; nothing else does, and `repeats` only decides what is masked."""

from types import SimpleNamespace

import polars as pl
import pytest

from recsys.context.sequences import build_sequences
from recsys.data.schema import WorkspaceSchema
from recsys.evaluation import next_basket, protocol
from recsys.evaluation.report import SHOWN
from recsys.evaluation.workspace_protocol import (
    IN_WORDS,
    LEAVE_ONE_OUT,
    NEXT_BASKET,
    protocol_of,
    targets_of,
    training_sequences_of,
)
from recsys.events.log import LOG_SCHEMA
from recsys.events.ordering import interactions

DAY = 86_400_000_000
BASKETS = [("a", 0, "xy"), ("a", 30, "x"), ("a", 60, "yz"), ("a", 100, "x"), ("b", 0, "xyz"), ("b", 20, "z")]
"""The last month begins on day 69."""


def dataset(**meaning) -> SimpleNamespace:
    rows = [(user, item, day * DAY) for user, day, items in BASKETS for item in items]
    log = [(n, f"e{n}", user, item, at, 0, None, None, 0) for n, (user, item, at) in enumerate(rows, start=1)]
    schema = WorkspaceSchema("w", **meaning)
    ordered = interactions(pl.DataFrame(log, schema=LOG_SCHEMA, orient="row"), schema)
    sequences = build_sequences(ordered, list("xyz"), baskets=schema.baskets)
    return SimpleNamespace(schema=schema, interactions=ordered, sequences=sequences)


def test_baskets_are_judged_by_the_next_basket():
    data = dataset(repeats=True, baskets=True)
    assert protocol_of(data.schema) == NEXT_BASKET
    split = targets_of(data, "validation")
    assert split == next_basket.next_basket(data.interactions, "validation")
    assert dict(zip(split.user_ids, split.target_items, strict=True)) == {"a": ("y", "z"), "b": ("z",)}
    assert training_sequences_of(data).lengths.tolist() == [3, 3]


@pytest.mark.parametrize("repeats", [False, True])
def test_all_others_by_leave_one_out(repeats):
    data = dataset(repeats=repeats)
    assert protocol_of(data.schema) == LEAVE_ONE_OUT
    for name in ("validation", "test"):
        assert targets_of(data, name) == protocol.leave_one_out(data.interactions, name)
    assert training_sequences_of(data).lengths.tolist() == ([4, 2] if repeats else [1, 1])


def test_where_items_repeat_a_target_may_be_one_that_was_seen():
    split = targets_of(dataset(repeats=True), "test")
    assert dict(zip(split.user_ids, split.target_items, strict=True)) == {"a": "x", "b": "z"}


def test_no_validation_target_trains():
    data = dataset(repeats=True, baskets=True)
    train, split = training_sequences_of(data), targets_of(data, "validation")
    for user, moment in zip(split.user_ids, split.moments, strict=True):
        own = train.user_ids.index(user)
        assert train.times[train.offsets[own] : train.offsets[own + 1]].max() < moment


def test_each_protocol_can_be_told_and_shown():
    assert IN_WORDS.keys() == SHOWN.keys() == {LEAVE_ONE_OUT, NEXT_BASKET}
    assert all("ndcg@10" in shown and "hr@10" in shown for shown in SHOWN.values())
