"""From frame to frame: what a user gets is what their row gets, whoever else is in the frame."""

from datetime import UTC, datetime

import polars as pl
import pytest

from recsys.data.schema import EventMeaning, WorkspaceSchema
from recsys.errors import DataError
from recsys.ranking.frames import RANKED_SCHEMA, SCORED_AT_ONCE, contexts

START = 1_700_000_000
EVENTS = pl.DataFrame(
    {
        "user_id": ["bob", "ann", "bob", "bob", "ann"],
        "item_id": ["a", "d", "b", "c", "e"],
        "timestamp": [START + 60 * n for n in range(5)],
    }
)
RICH = WorkspaceSchema(
    name="films", user_columns={"age": "numeric", "likes": "list"}, events=EventMeaning(positive=("buy",))
)


def test_a_user_gets_what_their_row_gets_in_the_order_of_first_events(recommender):
    subject = recommender()
    frame = subject.recommend_frame(EVENTS, k=4)
    assert frame.schema == RANKED_SCHEMA
    assert frame["user_id"].to_list() == ["bob"] * 4 + ["ann"] * 4
    assert frame["rank"].to_list() == [1, 2, 3, 4] * 2
    rows = contexts(EVENTS, subject.schema)
    for row, ranking in zip(rows, subject.recommend(rows, k=4), strict=True):
        own = frame.filter(pl.col("user_id") == row.user_id)
        assert tuple(own["item_id"]) == ranking.item_ids
        assert own["score"].to_list() == pytest.approx(ranking.scores)


def test_rows_are_those_of_the_log_in_order_of_time(recommender):
    shuffled = EVENTS.reverse().with_columns(unused=pl.lit(1))
    bob = next(row for row in contexts(shuffled, recommender().schema) if row.user_id == "bob")
    assert (bob.history_items, bob.seen_items, bob.event_count) == (("a", "b", "c"), ("a", "b", "c"), 3)
    assert bob.history_times == tuple((START + 60 * n) * 1_000_000 for n in (0, 2, 3))
    assert bob.present
    assert not bob.inline


@pytest.mark.parametrize(
    "timestamps",
    [
        pl.Series([datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)]),
        pl.Series(["2023-11-14T22:13:20Z"]),
        pl.Series([START * 1_000]),
        pl.Series([float(START)]),
    ],
)
def test_every_usual_form_of_time_and_id_is_taken(recommender, timestamps):
    [row] = contexts(pl.DataFrame({"user_id": [7.0], "item_id": ["a"], "timestamp": timestamps}), recommender().schema)
    assert (row.user_id, row.history_times) == ("7", (START * 1_000_000,))


def test_the_schema_says_what_counts_and_profiles_come_along():
    events = EVENTS.with_columns(event=pl.Series(["buy", "view", "view", "buy", "view"]))
    profiles = pl.DataFrame({"user_id": ["cid", "bob"], "age": [40, None], "likes": [["x"], None]})
    bob, ann, cid = contexts(events, RICH, profiles)
    assert (bob.history_items, ann.history_items, cid.history_items) == (("a", "c"), (), ())
    assert bob.profile == ann.profile == {"age": None, "likes": None}
    assert cid.profile == {"age": 40.0, "likes": ("x",)}


def test_options_are_those_of_recommend(recommender):
    subject = recommender()
    chosen = subject.recommend_frame(EVENTS, k=9, include_only=["a", "e", "f"], exclude_items=["f"], exclude_seen=False)
    assert chosen.group_by("user_id").agg(pl.col("item_id").sort()).sort("user_id").rows() == [
        ("ann", ["a", "e"]),
        ("bob", ["a", "e"]),
    ]
    assert subject.recommend_frame(EVENTS, include_only=[]).is_empty()


def test_nobody_gets_nothing_and_newcomers_get_something(recommender):
    nobody = EVENTS.clear()
    assert recommender().recommend_frame(nobody).schema == RANKED_SCHEMA
    newcomer = recommender().recommend_frame(nobody, k=2, profiles=pl.DataFrame({"user_id": ["zoe"]}))
    assert newcomer["user_id"].to_list() == ["zoe", "zoe"]


def test_more_users_than_are_scored_at_once_all_come(recommender):
    users = [f"u{n}" for n in range(SCORED_AT_ONCE + 1)]
    many = pl.DataFrame({"user_id": users, "item_id": "a", "timestamp": START})
    frame = recommender().recommend_frame(many, k=1)
    assert frame["user_id"].to_list() == users
    assert frame["score"].to_list() == pytest.approx([frame["score"][0]] * len(users), abs=1e-5)


@pytest.mark.parametrize(
    ("frame", "says"),
    [
        (EVENTS.drop("item_id"), r"'item_id' is missing \(it has: user_id, timestamp\)"),
        (EVENTS.drop("timestamp"), "neither a column 'timestamp' nor 'position'"),
        (EVENTS.clear().drop("user_id"), "'user_id' is missing"),
        (EVENTS.with_columns(timestamp=pl.lit([1])), "'timestamp' must hold times"),
        (EVENTS.with_columns(user_id=pl.lit(1.5)), "'user_id' must hold ids"),
        (EVENTS.with_columns(value=pl.lit("much")), "'value' must hold numbers"),
        (
            EVENTS.with_columns(user_id=pl.Series([None, "ann", "", "bob", "ann"])),
            "2 rows with an empty or missing user",
        ),
        (EVENTS.with_columns(timestamp=pl.lit(None, pl.Int64)), "5 rows with a missing or unreadable timestamp"),
    ],
)
def test_what_cannot_be_used_says_what_is_wrong_with_it(recommender, frame, says):
    with pytest.raises(DataError, match=says):
        recommender().recommend_frame(frame)


def test_events_that_would_mean_nothing_here_are_refused():
    untimed = EVENTS.drop("timestamp").with_columns(position=pl.Series(range(5)))
    with pytest.raises(DataError, match="has a clock, so its events need a 'timestamp'; .* 'event'.* kinds count: buy"):
        contexts(untimed, RICH)
    ordered = contexts(untimed, WorkspaceSchema(name="films", clock=False))
    assert [row.history_items for row in ordered] == [("a", "b", "c"), ("d", "e")]


@pytest.mark.parametrize(
    ("profiles", "says"),
    [
        ({"age": [1]}, "'user_id' is missing"),
        ({"user_id": ["a"], "height": [1]}, r"'height' is no user column of this workspace \(it has: age, likes\)"),
        ({"user_id": ["a", "a"]}, "no other row has"),
        ({"user_id": ["a"], "age": ["old"]}, "'age' is numeric"),
    ],
)
def test_profiles_that_do_not_fit_say_so(profiles, says):
    with pytest.raises(DataError, match=says):
        contexts(EVENTS, RICH, pl.DataFrame(profiles))
