"""A partition of users becomes rows: ranked, titled by nobody, as of one moment."""

from dataclasses import dataclass
from datetime import UTC, datetime

import polars as pl
import pytest

from recsys.batch.formats import OUTPUT_SCHEMA
from recsys.batch.rules import Rules
from recsys.batch.scoring import score_users
from recsys.context.batch import FeatureRow
from recsys.ranking.frames import SCORED_AT_ONCE
from tests.serving.modelled import VOCABULARY, small_recommender

AS_OF = 1_577_836_800_000_000


@dataclass(frozen=True)
class Ranked:
    item_ids: tuple[str, ...]
    scores: tuple[float, ...]


class Contexts:
    def __init__(self):
        self.asked = []

    def as_of(self, user_ids, moments):
        self.asked.extend(moments)
        return [FeatureRow(user_id=user, present=user != "ghost", event_count=len(user)) for user in user_ids]


class Countdown:
    """Recommends the items u0, u1, … to user u; nobody gets more than the length of their name."""

    version = "9"

    def __init__(self):
        self.blocks = []

    def flags(self, item_ids):
        raise AssertionError("no item was named")

    def recommend(self, rows, k=10, *, allowed=None):
        self.blocks.append(len(rows))
        return [
            Ranked(*(tuple(f"{r.user_id}{n}" for n in range(m)), tuple(1.0 - n for n in range(m))))
            for r in rows
            for m in [min(k, r.event_count)]
        ]


@pytest.fixture
def contexts():
    return Contexts()


def test_every_user_gets_ranked_rows_in_the_order_asked(contexts):
    scored = score_users(["bob", "al"], contexts, Countdown(), k=2, as_of=AS_OF, latest=None)
    assert scored.frame.schema == OUTPUT_SCHEMA
    assert scored.frame.select("user_id", "rank", "item_id", "score").rows() == [
        ("bob", 1, "bob0", 1.0),
        ("bob", 2, "bob1", 0.0),
        ("al", 1, "al0", 1.0),
        ("al", 2, "al1", 0.0),
    ]


def test_rows_name_the_model_and_the_moment_and_contexts_are_as_of_it(contexts):
    frame = score_users(["bob", "al"], contexts, Countdown(), k=1, as_of=AS_OF, latest=None).frame
    assert frame["model_version"].unique().to_list() == ["9"]
    assert frame["as_of"].unique().to_list() == [datetime(2020, 1, 1, tzinfo=UTC)]
    assert contexts.asked == [AS_OF, AS_OF]


def test_a_user_with_fewer_items_left_gets_fewer_rows_and_one_with_none_gets_none(contexts):
    frame = score_users(["bob", "", "a"], contexts, Countdown(), k=3, as_of=AS_OF, latest=None).frame
    assert frame.group_by("user_id", maintain_order=True).len().rows() == [("bob", 3), ("a", 1)]


def test_unknown_users_are_counted_and_recommended_to_all_the_same(contexts):
    scored = score_users(["bob", "ghost"], contexts, Countdown(), k=1, as_of=AS_OF, latest=None)
    assert scored.unknown_users == 1
    assert scored.frame.filter(pl.col("user_id") == "ghost").height == 1


def test_users_are_scored_in_blocks(contexts):
    ranker = Countdown()
    frame = score_users(
        [f"u{n}" for n in range(SCORED_AT_ONCE + 1)], contexts, ranker, k=1, as_of=AS_OF, latest=None
    ).frame
    assert ranker.blocks == [SCORED_AT_ONCE, 1]
    assert frame.height == SCORED_AT_ONCE + 1


class Ahead(Contexts):
    """Everybody's last event is of tomorrow."""

    def as_of(self, user_ids, moments):
        return [
            FeatureRow(
                user_id=user,
                present=True,
                history_items=("a", "b"),
                history_times=(1, AS_OF + 2),
                history_values=(1.0, 1.0),
                seen_items=("a", "b"),
                seen_counts=(1, 1),
                seen_last=(1, AS_OF + 2),
                event_count=2,
                first_event_at=1,
                last_event_at=AS_OF + 2,
            )
            for user in user_ids
        ]


@pytest.mark.parametrize(("latest", "items", "future_users"), [(AS_OF, 1, 2), (AS_OF + 2, 2, 0), (None, 2, 0)])
def test_events_from_the_future_are_left_out_as_the_service_does_and_their_users_counted(latest, items, future_users):
    scored = score_users(["bob", "al"], Ahead(), Countdown(), k=9, as_of=AS_OF + 3, latest=latest)
    assert scored.frame.height == 2 * items
    assert (scored.future_users, scored.unknown_users) == (future_users, 0)


def test_what_is_not_available_is_recommended_to_nobody(contexts):
    asked = {"k": 24, "as_of": AS_OF, "latest": None}
    everything = score_users(["bob"], contexts, small_recommender(), **asked).frame
    fewer = score_users(["bob"], contexts, small_recommender(), **asked, rules=Rules(("m3", "m7", "unheard-of"))).frame
    assert set(everything["item_id"]) == set(VOCABULARY)
    left = everything.filter(~everything["item_id"].is_in(["m3", "m7"]))
    assert fewer.drop("rank").equals(left.drop("rank"))


def test_only_what_is_among_the_choice_and_not_excluded_is_recommended(contexts):
    rules = Rules(excluded=("m3",), only=("m1", "m3", "m5", "unheard-of"))
    asked = {"k": 24, "as_of": AS_OF, "latest": None}
    frame = score_users(["bob", "al"], contexts, small_recommender(), **asked, rules=rules).frame
    assert frame.group_by("user_id").agg(pl.col("item_id").sort()).sort("user_id").rows() == [
        ("al", ["m1", "m5"]),
        ("bob", ["m1", "m5"]),
    ]
