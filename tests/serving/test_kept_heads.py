"""What is kept of users between requests: it changes no answer, stays within its bytes, and goes with the user."""

from __future__ import annotations

import itertools
import sqlite3
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.context.batch import FeatureRow
from recsys.data.canonical import EVENT_SCHEMA
from recsys.events.log import EventLog
from recsys.events.removals import Removals
from recsys.ranking.kept_heads import KeptHeads, content_of
from recsys.serving.contexts import resolve
from recsys.serving.folder.forgetting import Forgetting
from recsys.serving.messages.requests import InlineContext, InlineEvent
from tests.serving.conftest import LogContexts
from tests.serving.modelled import SCHEMA, VOCABULARY, small_recommender

USERS = ("ann", "bob", "carl")
NOW = 1_800_000_000_000_000
KINDS = ("lowrank", "gains", "full")

user, item = st.sampled_from(USERS), st.sampled_from(VOCABULARY[:6])
actions = st.lists(
    st.one_of(
        st.tuples(st.just("event"), user, item),
        st.tuples(st.just("ask"), user, st.none()),
        st.tuples(st.just("ask"), user, item),
        st.tuples(st.just("ask"), st.none(), item),
        st.tuples(st.just("delete"), user, st.none()),
        st.tuples(st.just("promote"), st.sampled_from(KINDS), st.none()),
    ),
    min_size=5,
    max_size=40,
)
numbers = itertools.count()


def append(log, user_id, item_id):
    event = {"event_id": str(next(numbers)), "user_id": user_id, "item_id": item_id, "occurred_at": log.position() + 1}
    log.append(pl.DataFrame([{**event, "event": None, "value": None}], schema=EVENT_SCHEMA))


def until(condition, seconds=10.0):
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)
    return condition()


@pytest.fixture
def log(tmp_path):
    return EventLog(tmp_path / "log.sqlite")


@given(
    steps=actions,
    most_bytes=st.sampled_from([0, 8_000, 30_000, 10**7]),
    experts_bytes=st.sampled_from([0, 2_500, 10**6]),
)
@settings(deadline=None)
def test_no_answer_differs_whatever_happens_between_requests(steps, most_bytes, experts_bytes):
    with tempfile.TemporaryDirectory() as folder:
        log = EventLog(Path(folder) / "log.sqlite")
        removals, contexts, kept = Removals(log.path), LogContexts(log), KeptHeads(most_bytes, experts_bytes)
        forgetting, champion = Forgetting(removals, kept), "lowrank"
        for what, who, which in steps:
            if what == "event":
                append(log, who, which)
            elif what == "promote":
                champion = who
            elif what == "delete":
                removals.remove_users([who])
                forgetting.look()
                assert who not in kept.user_ids()
            else:
                inline = None if which is None else InlineContext(history=[InlineEvent(item_id=which)])
                row = resolve(who, inline, contexts, SCHEMA, NOW).row
                plain = small_recommender(champion)
                keeping = plain.keeping(kept, champion)
                assert keeping.recommend([row], k=24) == plain.recommend([row], k=24)
                assert keeping.score([row]).equal(plain.score([row]))
            assert kept.held_bytes <= most_bytes + experts_bytes
        removals.close()
        log.close()


def known_row(log, user_id="ann"):
    return LogContexts(log).online([user_id])[0]


def test_the_second_request_finds_what_the_first_one_generated_until_there_is_an_event(log):
    outcomes = []
    kept = KeptHeads(10**6)
    kept.tell = lambda outcome, held: outcomes.append(outcome)
    recommender = small_recommender().keeping(kept, "a")
    append(log, "ann", "m1")
    recommender.recommend([known_row(log)])
    recommender.recommend([known_row(log)])
    append(log, "ann", "m2")
    recommender.recommend([known_row(log)])
    assert outcomes == ["miss", "hit", "miss"]
    assert len(kept) == 1


def test_nothing_is_kept_of_visitors_of_inline_contexts_and_of_unknown_users(log):
    kept = KeptHeads(10**6)
    recommender = small_recommender().keeping(kept, "a")
    append(log, "ann", "m1")
    inline = InlineContext(history=[InlineEvent(item_id="m2")])
    for asked in ((None, inline), ("ann", inline), ("nobody", None), ("nobody", inline)):
        recommender.recommend([resolve(*asked, LogContexts(log), SCHEMA, NOW).row])
    assert len(kept) == 0
    assert kept.held_bytes == 0


def test_a_request_that_still_holds_a_deleted_users_row_leaves_nothing(log):
    now = [0.0]
    kept = KeptHeads(10**6, 10**6, clock=lambda: now[0])
    recommender = small_recommender().keeping(kept, "a")
    append(log, "ann", "m1")
    row = known_row(log)
    kept.forget(["ann"])
    recommender.recommend([row])
    assert len(kept) == 0
    now[0] = 200.0
    recommender.recommend([row])
    recommender.recommend([row])
    assert len(kept) == 1
    now[0] = 201.0
    kept.forget(["ann"])
    recommender.recommend([row])
    assert kept.held_bytes == 0


def test_a_deletion_and_a_pruning_by_another_process_are_followed(log):
    kept = KeptHeads(10**6)
    recommender = small_recommender().keeping(kept, "a")
    for user_id in ("ann", "ann", "bob"):
        append(log, user_id, "m1")
    elsewhere = Removals(log.path)
    forgetting = Forgetting(Removals(log.path), kept)
    recommender.recommend([known_row(log, "ann")])
    recommender.recommend([known_row(log, "bob")])
    elsewhere.remove_users(["bob"])
    forgetting.look()
    assert kept.user_ids() == {"ann"}
    elsewhere.prune(before=10, keep_last=1)
    forgetting.look()
    assert kept.user_ids() == set()


def test_a_request_under_way_while_its_user_is_deleted_leaves_nothing_though_nothing_was_kept_before(log):
    now = [0.0]
    kept = KeptHeads(10**6, clock=lambda: now[0])
    recommender = small_recommender().keeping(kept, "a")
    for user_id in ("ann", "bob"):
        append(log, user_id, "m1")
    removals = Removals(log.path)
    forgetting = Forgetting(removals, kept, clock=lambda: now[0])
    rows = [known_row(log, "ann"), known_row(log, "bob")]
    removals.remove_users(["ann"])
    removals.forget_names(["ann"])
    forgetting.look()
    for row in rows:
        recommender.recommend([row])
    now[0] = 60.0
    forgetting.look()
    assert kept.user_ids() == {"bob"}
    removals.prune(before=10**18, keep_last=0)
    forgetting.look()
    recommender.recommend([rows[1]])
    assert kept.user_ids() == set()
    now[0] = 200.0
    forgetting.look()
    recommender.recommend([rows[1]])
    assert kept.user_ids() == {"bob"}


def test_nothing_is_kept_of_whoever_is_still_being_deleted(log):
    kept = KeptHeads(10**6)
    recommender = small_recommender().keeping(kept, "a")
    append(log, "ann", "m1")
    row, removals = known_row(log, "ann"), Removals(log.path)
    forgetting = Forgetting(removals, kept)
    removals.remove_users(["ann"])
    forgetting.look()
    recommender.recommend([row])
    assert kept.user_ids() == set()


def test_whoever_counts_is_always_told_all_bytes(log):
    told = []
    one = KeptHeads(10**6)
    append(log, "ann", "m1")
    small_recommender().keeping(one, "a").recommend([known_row(log)])
    kept = KeptHeads(one.held_bytes, 10**6)
    kept.tell = lambda outcome, held: told.append((outcome, held))
    recommender = small_recommender().keeping(kept, "a")
    recommender.recommend([known_row(log)])
    recommender.recommend([known_row(log)])
    append(log, "bob", "m1")
    recommender.recommend([known_row(log, "bob")])
    assert told[-1] == ("evicted", kept.held_bytes)
    assert kept.held_bytes > one.held_bytes
    kept.forget(["ann", "bob"])
    assert told[-1] == ("forgotten", 0)


def test_the_oldest_gives_way_and_the_bytes_are_those_of_what_is_left(log):
    one = KeptHeads(10**6)
    append(log, "ann", "m1")
    small_recommender().keeping(one, "a").recommend([known_row(log)])
    kept = KeptHeads(2 * one.held_bytes)
    recommender = small_recommender().keeping(kept, "a")
    for user_id in ("bob", "carl"):
        append(log, user_id, "m1")
    for user_id in ("ann", "bob", "ann", "carl"):
        recommender.recommend([known_row(log, user_id)])
    assert kept.user_ids() == {"ann", "carl"}
    assert kept.held_bytes == 2 * one.held_bytes


ROW = FeatureRow(
    user_id="ann",
    history_items=("a", "b"),
    history_times=(1, 2),
    history_values=(1.0, 2.0),
    seen_items=("a", "b"),
    seen_counts=(1, 1),
    seen_last=(1, 2),
    event_count=2,
    profile={"age": 3.0, "likes": ["x"]},
)


@pytest.mark.parametrize(
    "other",
    [
        {"history_items": ("a", "c")},
        {"history_items": ("b", "a")},
        {"history_times": (1, 3)},
        {"history_values": (1.0, float("nan"))},
        {"seen_items": ("a", "c")},
        {"seen_counts": (1, 2)},
        {"seen_counts": (), "seen_last": ()},
        {"seen_last": (0, 2)},
        {"event_count": 3},
        {"profile": {"age": 3.0, "likes": ["y"]}},
        {"profile": {"age": None, "likes": ["x"]}},
    ],
)
def test_another_row_has_another_digest(other):
    assert content_of(replace(ROW, **other), None) != content_of(ROW, None)


def test_moments_that_the_model_is_told_make_other_digests():
    assert len({content_of(ROW, moment) for moment in (None, 0, 1)}) == 3


class Failing(Removals):
    """Removals that cannot be read while there is trouble."""

    trouble = None
    looks = 0

    def newest(self):
        trouble = self.trouble
        if trouble is not None:
            raise trouble
        self.looks += 1
        return super().newest()


@pytest.mark.parametrize("trouble", [OSError("the disk is gone"), sqlite3.OperationalError("database is locked")])
def test_while_the_log_cannot_be_read_nothing_is_kept_and_afterwards_it_is_looked_at_again(log, trouble):
    kept = KeptHeads(10**6)
    append(log, "ann", "m1")
    small_recommender().keeping(kept, "a").recommend([known_row(log, "ann")])
    removals = Failing(log.path)
    with Forgetting(removals, kept, look_seconds=0.01):
        removals.trouble = trouble
        assert until(lambda: kept.user_ids() == set())
        removals.trouble, before = None, removals.looks
        assert until(lambda: removals.looks > before)
