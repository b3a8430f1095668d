"""The temporal split: train before a moment, the first event after it is the target."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from recsys.context.sequences import build_sequences
from recsys.data.schema import WorkspaceSchema
from recsys.errors import ConfigError, DataError
from recsys.evaluation.temporal import (
    TemporalMoments,
    moments_by_share,
    temporal,
    temporal_cases,
    training_sequences,
)
from recsys.events.fold import fold
from recsys.events.log import LOG_SCHEMA
from recsys.events.ordering import interactions

SCHEMA = WorkspaceSchema(name="shop")
EVENTS = [("ann", "a", 1), ("ann", "b", 2), ("ann", "c", 10), ("ann", "d", 11), ("ann", "e", 20), ("ann", "f", 20)]
EVENTS += [("bob", "a", 3), ("bob", "c", 21), ("new", "a", 12), ("new", "b", 22)]


def log_of(events):
    rows = [(n, str(n), *event, 0, None, None, 0) for n, event in enumerate(events, 1)]
    return pl.DataFrame(rows, schema=LOG_SCHEMA, orient="row")


LOG = log_of(EVENTS)
POSITIVE = interactions(LOG, SCHEMA)
TIMES = POSITIVE["occurred_at"].to_numpy()
MOMENTS = TemporalMoments(validation_from=10, test_from=20)


def test_targets_are_first_events_of_users_who_had_trained():
    for name, expected in (("validation", {"ann": "c"}), ("test", {"ann": "e", "bob": "c"})):
        split = temporal(POSITIVE, name, MOMENTS)
        assert dict(zip(split.user_ids, split.target_items, strict=True)) == expected


def test_a_context_holds_what_lies_strictly_before_the_target_even_among_ties():
    split = temporal(POSITIVE, "test", MOMENTS)
    before = pl.DataFrame({"user_id": split.user_ids, "effective_at": split.moments})
    assert fold(LOG, SCHEMA, before=before)["history_items"].to_list() == [list("abcd"), ["a"]]


def many_events() -> pl.DataFrame:
    """Of users who come and go, at few enough moments that many events are tied."""
    rng = np.random.default_rng(0)
    begin = rng.integers(0, 25, 40)
    users = rng.integers(0, 40, 400)
    items = rng.choice(list("abcdefghij"), 400)
    times = begin[users] + rng.integers(0, 20, 400)
    return log_of(zip(map(str, users), items.tolist(), times.tolist(), strict=True))


@pytest.mark.parametrize("name", ["validation", "test"])
@pytest.mark.parametrize("repeats", [False, True])
@pytest.mark.parametrize("log", [LOG, many_events()], ids=["few", "many"])
def test_cases_on_arrays_are_the_split(log, repeats, name):
    positive = interactions(log, WorkspaceSchema(name="shop", repeats=repeats))
    vocabulary = list("abcdefghij")
    whole = build_sequences(positive, vocabulary)
    split, cases = temporal(positive, name, MOMENTS), temporal_cases(whole, name, MOMENTS)
    assert [whole.user_ids[user] for user in cases.users] == list(split.user_ids)
    assert [vocabulary[target - 1] for target in cases.targets] == list(split.target_items)
    targets = pl.DataFrame({"user_id": split.user_ids, "target_at": split.moments})
    before = positive.join(targets, on="user_id").filter(pl.col("effective_at") < pl.col("target_at"))
    known = dict(before.group_by("user_id").len().iter_rows())
    assert cases.known.tolist() == [known[user] for user in split.user_ids]


def test_only_what_lies_before_the_validation_trains():
    train = training_sequences(build_sequences(POSITIVE, list("abcdef")), MOMENTS)
    assert dict(zip(train.user_ids, train.lengths.tolist(), strict=True)) == {"ann": 2, "bob": 1, "new": 0}


def test_shares_divide_the_events():
    moments = moments_by_share(TIMES, 0.5, 0.2)
    assert (moments.validation_from, moments.test_from) == (12, 20)


@pytest.mark.parametrize(("training", "validation"), [(0.9, 0.1), (0.0, 0.5), (0.5, -0.1)])
def test_shares_that_leave_nothing_are_refused(training, validation):
    with pytest.raises(ConfigError, match="leave nothing"):
        moments_by_share(TIMES, training, validation)


def test_moments_in_the_wrong_order_are_refused():
    with pytest.raises(ConfigError, match="validation must begin first"):
        TemporalMoments(20, 10)


def test_a_part_without_targets_is_refused():
    with pytest.raises(DataError, match="comes back in the test part"):
        temporal(POSITIVE, "test", TemporalMoments(10, 50))
    with pytest.raises(DataError, match="comes back in the test part"):
        temporal_cases(build_sequences(POSITIVE, list("abcdef")), "test", TemporalMoments(10, 50))
