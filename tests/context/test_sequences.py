"""Flat sequences: a prefix of one is the context that the fold and the encoder give for that moment."""

from dataclasses import fields, replace

import numpy as np
import polars as pl
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.context.batch import ContextBatch, FeatureRow
from recsys.context.encoder import ContextEncoder
from recsys.context.profile import ProfileEncoding
from recsys.context.sequences import Sequences, build_sequences, prefix_contexts, ragged_ranges
from recsys.data.schema import EventMeaning, WorkspaceSchema
from recsys.events.fold import fold
from recsys.events.ordering import interactions

ITEMS = "abcdefg"
PROFILES = {"ann": {"age": 20.0}, "bob": {"age": 40.0}, "cy": {"age": None}}


def sequences(*users: list[int]) -> Sequences:
    """One user a list; the e-th event of all has time e and value e / 2."""
    lengths = [len(user) for user in users]
    total = sum(lengths)
    return Sequences(
        user_ids=tuple(f"u{n}" for n in range(len(users))),
        offsets=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        items=np.array([item for user in users for item in user], dtype=np.int64),
        times=np.arange(total, dtype=np.int64),
        values=np.arange(total, dtype=np.float32) / 2,
    )


def items_of(own: Sequences) -> list[list[int]]:
    return [own.items[a:b].tolist() for a, b in zip(own.offsets[:-1], own.offsets[1:], strict=True)]


def contexts(own: Sequences, users, lengths, *, keep=None, history_length=4) -> ContextBatch:
    return prefix_contexts(
        own,
        np.array(users),
        np.array(lengths),
        np.zeros((len(own), 0), np.float32),
        history_length=history_length,
        keep=None if keep is None else np.array(keep),
    )


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 6)), max_size=12))
def test_ragged_ranges_are_those_of_a_plain_loop(pairs):
    starts, lengths = np.array([p[0] for p in pairs], dtype=int), np.array([p[1] for p in pairs], dtype=int)
    assert ragged_ranges(starts, lengths).tolist() == [s + i for s, length in pairs for i in range(length)]


def test_without_last_takes_a_number_or_one_a_user_and_never_a_neighbours_event():
    own = sequences([1, 2, 3], [4], [], [5, 6])
    assert items_of(own.without_last(2)) == [[1], [], [], []]
    assert items_of(own.without_last(np.array([0, 3, 1, 1]))) == [[1, 2, 3], [], [], [5]]
    assert len(own.without_last(9)) == 4


def test_keep_and_take_carry_times_and_values_along():
    own = sequences([1, 2, 3], [4], [5, 6])
    kept = own.keep(np.array([True, False, True, True, False, True]))
    assert items_of(kept) == [[1, 3], [4], [6]]
    assert kept.times.tolist() == [0, 2, 3, 5]
    taken = own.take(np.array([2, 0]))
    assert items_of(taken) == [[5, 6], [1, 2, 3]]
    assert taken.user_ids == ("u2", "u0")
    assert taken.times.tolist() == [4, 5, 0, 1, 2]
    assert taken.values.tolist() == [2, 2.5, 0, 0.5, 1]
    assert len(own.take(np.zeros(0, np.int64))) == 0


def test_sequences_leave_out_items_that_the_vocabulary_lacks():
    frame = pl.DataFrame(
        {"user_id": ["a", "a", "b", "c"], "item_id": ["x", "y", "z", "y"], "occurred_at": [5, 6, 7, 8]}
    ).with_columns(value=pl.lit(1.0, pl.Float32))
    own = build_sequences(frame, ["y", "x"])
    assert own.user_ids == ("a", "c")
    assert items_of(own) == [[2, 1], [1]]
    assert own.times.tolist() == [5, 6, 8]


def test_a_prefix_knows_nothing_of_what_follows():
    own = sequences([1, 2, 3, 4, 5], [6, 7])
    batch = contexts(own, [0, 0, 1], [3, 0, 1])
    assert batch.history.tolist() == [[0, 1, 2, 3], [0] * 4, [0, 0, 0, 6]]
    assert batch.times.tolist() == [[0, 0, 1, 2], [0] * 4, [0, 0, 0, 5]]
    assert batch.seen.tolist() == [1, 2, 3, 6]
    assert batch.seen_offsets.tolist() == [0, 3, 3, 4]
    assert batch.event_count.tolist() == [3, 0, 1]
    assert batch.moment.tolist() == [0, 0, 0]


def test_a_window_never_reaches_into_the_user_before():
    own = sequences([1, 2, 3], [4, 5])
    assert contexts(own, [1], [2], history_length=5).history.tolist() == [[0, 0, 0, 4, 5]]


def test_history_dropout_shows_the_newest_events_only():
    own = sequences([1, 2, 3, 4, 5])
    batch = contexts(own, [0, 0, 0, 0], [4, 4, 4, 4], keep=[1, 3, 9, 0])
    assert batch.history.tolist() == [[0, 0, 0, 4], [0, 2, 3, 4], [1, 2, 3, 4], [0, 0, 0, 0]]
    assert batch.seen_offsets.diff().tolist() == [1, 3, 4, 0]
    assert batch.event_count.tolist() == [1, 3, 4, 0]


def test_an_item_that_came_twice_is_seen_once_as_in_a_feature_row():
    own = sequences([1, 2, 1, 3, 2], [2, 2])
    batch = contexts(own, [0, 1], [5, 2], history_length=5)
    assert batch.history.tolist() == [[1, 2, 1, 3, 2], [0, 0, 0, 2, 2]]
    assert batch.seen.tolist() == [1, 2, 3, 2]
    assert batch.seen_offsets.tolist() == [0, 3, 4]
    assert batch.seen_counts.tolist() == [2, 2, 1, 2]
    assert batch.seen_last.tolist() == [2, 4, 3, 6]
    assert batch.event_count.tolist() == [5, 2]


def test_no_contexts_are_a_batch_of_none():
    assert contexts(sequences([1, 2]), np.zeros(0, np.int64), np.zeros(0, np.int64)).history.shape == (0, 4)


def row_before(log: pl.DataFrame, schema: WorkspaceSchema, user: str, moment: int) -> FeatureRow:
    before = pl.DataFrame({"user_id": [user], "effective_at": [moment]})
    [folded] = fold(log, schema, before=before).to_dicts()
    names = ("history_items", "history_times", "history_values", "seen_items", "seen_counts", "seen_last")
    lists = {name: tuple(folded[name]) for name in names}
    return FeatureRow(user_id=user, **lists, event_count=folded["event_count"], profile=PROFILES[user])


event = st.tuples(
    st.sampled_from(sorted(PROFILES)), st.sampled_from(ITEMS), st.integers(10, 15), st.sampled_from([None, "buy"])
)


@settings(max_examples=40)
@given(st.lists(event, min_size=1, max_size=20), st.booleans(), st.integers(2, 6))
def test_a_prefix_is_what_the_fold_and_the_encoder_give_for_that_moment(events, repeats: bool, length: int):
    schema = WorkspaceSchema(
        name="w", repeats=repeats, events=EventMeaning(weights={"buy": 2.5}), user_columns={"age": "numeric"}
    )
    log = pl.DataFrame(
        [(n, *own, 1.0, n, 0) for n, own in enumerate(events, start=1)],
        schema={
            "log_sequence": pl.Int64,
            "user_id": pl.String,
            "item_id": pl.String,
            "occurred_at": pl.Int64,
            "event": pl.String,
            "value": pl.Float32,
            "received_at": pl.Int64,
            "item_events_before": pl.Int64,
        },
        orient="row",
    )
    positive = interactions(log, schema)
    vocabulary = sorted(ITEMS)
    own = build_sequences(positive, vocabulary)
    encoding = ProfileEncoding.fit(list(PROFILES.values()), schema.user_columns)
    encoder = ContextEncoder(vocabulary, encoding, length)
    profile = encoding.encode([PROFILES[user] for user in own.user_ids])

    users = np.repeat(np.arange(len(own)), own.lengths)
    known = np.concatenate([np.arange(count) for count in own.lengths])
    found = prefix_contexts(own, users, known, profile, history_length=length)
    moments = positive.select("user_id", "effective_at").iter_rows()
    expected = encoder.encode([row_before(log, schema, user, moment) for user, moment in moments])
    for field in fields(ContextBatch):
        mine, theirs = getattr(found, field.name), getattr(expected, field.name)
        assert mine.dtype == theirs.dtype, field.name
        assert torch.equal(mine, theirs), field.name


def test_no_interactions_are_no_sequences():
    types = {"user_id": pl.String, "item_id": pl.String, "occurred_at": pl.Int64, "value": pl.Float32}
    own = build_sequences(pl.DataFrame(schema=types), ["a"])
    assert len(own) == 0
    assert own.offsets.tolist() == [0]
    assert len(own.without_last(1)) == 0


def test_before_an_event_all_earlier_ones_are_known_or_with_baskets_those_before_its_basket():
    own = replace(sequences([1, 2, 3, 4], [], [5], [6, 7]), times=np.array([7, 7, 8, 8, 8, 8, 8]))
    assert own.known_before.tolist() == own.positions.tolist() == [0, 1, 2, 3, 0, 0, 1]
    baskets = replace(own, baskets=True)
    assert baskets.known_before.tolist() == [0, 0, 2, 2, 0, 0, 0], "one user's basket ends where the next user begins"


def test_what_is_cut_out_of_baskets_is_baskets_still():
    baskets = replace(sequences([1, 2, 3], [4]), baskets=True)
    cuts = (baskets.take(np.array([1])), baskets.without_last(1), baskets.keep(np.array([True, False, True, True])))
    assert all(cut.baskets for cut in cuts)
    assert not sequences([1]).take(np.array([0])).baskets
