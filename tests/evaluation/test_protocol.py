"""Leave-one-out holds back exactly the last two events, and nothing of a target is in its context."""

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.context.sequences import build_sequences
from recsys.data.schema import EventMeaning, WorkspaceSchema
from recsys.errors import ConfigError, DataError
from recsys.evaluation.protocol import leave_one_out, split_name, training_sequences
from recsys.events.fold import fold
from recsys.events.ordering import interactions

SCHEMA = WorkspaceSchema(name="w", events=EventMeaning(negative=("dislike",)))


def log(events) -> pl.DataFrame:
    """Events as (user, item, time[, kind]), in the order of the log."""
    return pl.DataFrame(
        [(n, *(*event, None)[:4], 1.0, 0) for n, event in enumerate(events, start=1)],
        schema={
            "log_sequence": pl.Int64,
            "user_id": pl.String,
            "item_id": pl.String,
            "occurred_at": pl.Int64,
            "event": pl.String,
            "value": pl.Float32,
            "item_events_before": pl.Int64,
        },
        orient="row",
    )


THREE = [("a", "x", 1), ("a", "y", 2), ("a", "z", 3)]


def test_the_last_event_is_the_test_target_and_the_one_before_it_validations():
    ordered = interactions(log([*THREE, ("b", "q", 1), ("b", "x", 2), ("c", "y", 9)]), SCHEMA)
    test, validation = leave_one_out(ordered, "test"), leave_one_out(ordered, "validation")
    assert (test.user_ids, test.target_items) == (("a",), ("z",))
    assert (validation.user_ids, validation.target_items) == (("a",), ("y",))
    assert len(test) == 1


def test_users_with_fewer_than_three_events_train_with_all_of_them_and_are_not_evaluated():
    ordered = interactions(log([*THREE, ("b", "q", 1), ("b", "x", 2), ("c", "y", 9)]), SCHEMA)
    sequences = build_sequences(ordered, ["q", "x", "y", "z"])
    train = training_sequences(sequences)
    assert train.user_ids == ("a", "b", "c")
    assert train.lengths.tolist() == [1, 2, 1]
    assert train.items.tolist() == [2, 1, 2, 3]


def test_negative_events_and_second_times_are_no_targets():
    events = [*THREE, ("a", "w", 4, "dislike"), ("a", "x", 5)]
    assert leave_one_out(interactions(log(events), SCHEMA), "test").target_items == ("z",)
    comes_back = WorkspaceSchema(name="w", repeats=True)
    assert leave_one_out(interactions(log(events), comes_back), "test").target_items == ("x",)


def test_ties_in_time_go_by_the_logs_order():
    tied = interactions(log([("a", "x", 7), ("a", "y", 7), ("a", "z", 7)]), SCHEMA)
    assert leave_one_out(tied, "test").target_items == ("z",)
    assert leave_one_out(tied, "validation").target_items == ("y",)


@pytest.mark.parametrize("events", [[], THREE[:2], [("a", "x", 1), ("b", "x", 1), ("c", "x", 1)]])
def test_without_a_user_of_three_events_there_is_nothing_to_evaluate(events):
    with pytest.raises(DataError, match="No user has 3 positive events"):
        leave_one_out(interactions(log(events), SCHEMA), "validation")


def test_an_unknown_split_is_refused():
    assert split_name("test") == "test"
    with pytest.raises(ConfigError, match="choose validation or test"):
        split_name("train")


event = st.tuples(
    st.sampled_from("ab"), st.sampled_from("uvwxyz"), st.integers(1, 5), st.sampled_from([None, None, "dislike"])
)


@settings(max_examples=60)
@given(st.lists(event, min_size=3, max_size=20), st.booleans(), st.sampled_from(["validation", "test"]), st.data())
def test_target_and_everything_later_leave_the_context_untouched(events, repeats: bool, name, data):
    schema = WorkspaceSchema(name="w", repeats=repeats, events=SCHEMA.events)
    frame = log(events)
    ordered = interactions(frame, schema)
    if ordered.filter(pl.len().over("user_id") >= 3).is_empty():
        return
    split = leave_one_out(ordered, name)
    moments = pl.DataFrame({"user_id": split.user_ids, "effective_at": split.moments})
    before = fold(frame, schema, before=moments)

    targets = ordered.join(moments, on=["user_id", "effective_at"], how="semi")
    limits = targets.select("user_id", limit_at="occurred_at", limit_sequence="log_sequence")
    marked = frame.join(limits, on="user_id", how="left", maintain_order="left")
    later = (pl.col("occurred_at") > pl.col("limit_at")) | (
        (pl.col("occurred_at") == pl.col("limit_at")) & (pl.col("log_sequence") >= pl.col("limit_sequence"))
    )
    deleted = marked.filter(~later.fill_null(value=False)).select(frame.columns)
    changed_to = data.draw(st.sampled_from("uvwxyz"))
    item = pl.when(later.fill_null(value=False)).then(pl.lit(changed_to)).otherwise("item_id")
    changed = marked.with_columns(item_id=item).select(frame.columns)

    own = ["user_id", "history_items", "history_times", "seen_items", "event_count", "last_event_at"]
    for other in (deleted, changed):
        known = set(other["user_id"])
        expected = before.filter(pl.col("user_id").is_in(known))
        assert fold(other, schema, before=moments).select(own).rows() == expected.select(own).rows()
    for user, target, history in zip(split.user_ids, split.target_items, before["history_items"], strict=True):
        assert len(history) == ordered.filter(pl.col("user_id") == user).height - (1 if name == "test" else 2)
        assert repeats or target not in history
