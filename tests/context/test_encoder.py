"""The encoder pads on the left, drops what the vocabulary lacks, and gives a row the same numbers in any batch."""

import time
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from recsys.context.batch import FeatureRow
from recsys.context.encoder import ContextEncoder
from recsys.context.profile import ProfileEncoding
from recsys.errors import ConfigError

VOCABULARY = ("a", "b", "c", "d")


def row(items: str, seen: str = "") -> FeatureRow:
    return FeatureRow(
        user_id="u",
        history_items=tuple(items),
        history_times=tuple(range(100, 100 + len(items))),
        history_values=tuple(0.5 + index for index in range(len(items))),
        seen_items=tuple(seen or dict.fromkeys(items)),
        event_count=len(items),
        present=True,
    )


def encoder(length: int = 3) -> ContextEncoder:
    return ContextEncoder(VOCABULARY, ProfileEncoding(), history_length=length)


def test_history_is_right_aligned_and_oldest_first():
    batch = encoder(4).encode([row("ab")])
    assert batch.history.tolist() == [[0, 0, 1, 2]]
    assert batch.times.tolist() == [[0, 0, 100, 101]]
    assert batch.values.tolist() == [[0, 0, 0.5, 1.5]]


def test_only_the_latest_events_are_kept():
    assert encoder(3).encode([row("abcd")]).history.tolist() == [[2, 3, 4]]


def test_unknown_items_are_dropped_before_the_history_is_cut_and_counted():
    subject = encoder(3)
    batch = subject.encode([row("abxcy"), row("zz")])
    assert batch.history.tolist() == [[1, 2, 3], [0, 0, 0]]
    assert batch.times.tolist() == [[100, 101, 103], [0, 0, 0]]
    assert subject.unknown_items == 4


def test_seen_items_lie_user_after_user():
    batch = encoder().encode([row("ab"), row(""), row("c", seen="cxd")])
    assert batch.seen.tolist() == [1, 2, 3, 4]
    assert batch.seen_offsets.tolist() == [0, 2, 2, 4]


def test_counts_and_last_times_stay_beside_their_seen_items():
    counted = replace(row("abcx"), seen_items=("x", "b", "a"), seen_counts=(9, 2, 1), seen_last=(1, 2**53 + 1, 3))
    batch = encoder().encode([row("cd"), counted])
    assert batch.seen.tolist() == [3, 4, 2, 1]
    assert batch.seen_counts.tolist() == [0, 0, 2, 1]
    assert batch.seen_last.tolist() == [0, 0, 2**53 + 1, 3]


def test_counts_that_do_not_fit_the_seen_items_are_refused():
    with pytest.raises(ConfigError, match="seen_counts"):
        encoder().encode([FeatureRow(user_id="u", seen_items=("a", "b"), seen_counts=(1,))])


def test_a_batch_refuses_counts_beside_other_seen_items():
    batch = encoder().encode([row("ab")])
    with pytest.raises(ValueError, match="seen_counts has shape"):
        replace(batch, seen=batch.seen[:1])


def test_moments_and_counts_travel_along():
    batch = encoder().encode([row("ab"), row("a")], moments=[2**53 + 1, 7])
    assert batch.moment.tolist() == [2**53 + 1, 7]
    assert batch.event_count.tolist() == [2, 1]
    assert encoder().encode([row("ab")]).moment.tolist() == [0]


def test_an_empty_batch_and_an_empty_user_are_fine():
    assert encoder().encode([]).history.shape == (0, 3)
    assert encoder().encode([FeatureRow(user_id=None)]).history.tolist() == [[0, 0, 0]]


def test_types_are_those_the_model_expects():
    batch = encoder().encode([row("ab")], moments=[1])
    assert [batch.history.dtype, batch.times.dtype, batch.seen.dtype, batch.moment.dtype] == [torch.int64] * 4
    assert [batch.values.dtype, batch.profile.dtype, batch.event_count.dtype] == [torch.float32] * 3


def test_a_wrong_number_of_moments_is_refused():
    with pytest.raises(ConfigError, match="1 rows came with 2 moments"):
        encoder().encode([row("a")], moments=[1, 2])


def test_a_history_whose_times_are_missing_is_refused():
    with pytest.raises(ConfigError, match="history_times"):
        encoder().encode([FeatureRow(user_id="u", history_items=("a",))])


def test_a_vocabulary_with_an_item_twice_is_refused():
    with pytest.raises(ConfigError, match="twice"):
        ContextEncoder(("a", "a"), ProfileEncoding())


@given(st.lists(st.text(alphabet="abcdxy", max_size=9), min_size=1, max_size=6))
def test_a_row_has_the_same_numbers_alone_and_in_a_batch(histories: list[str]):
    subject = encoder()
    together = subject.encode([row(history) for history in histories])
    for index, history in enumerate(histories):
        alone = subject.encode([row(history)])
        expected = ["abcd".index(item) + 1 for item in history if item in VOCABULARY][-3:]
        assert alone.history[0].tolist() == [0] * (3 - len(expected)) + expected
        assert torch.equal(alone.history[0], together.history[index])
        assert torch.equal(alone.times[0], together.times[index])
        assert torch.equal(alone.values[0], together.values[index])
        start, end = together.seen_offsets[index : index + 2].tolist()
        assert torch.equal(alone.seen, together.seen[start:end])


@given(st.lists(st.text(alphabet="abcdxy", max_size=9), max_size=6))
def test_a_batch_comes_apart_into_what_its_rows_are_alone(histories: list[str]):
    subject = encoder()
    rows = [row(history) for history in histories]
    apart = list(subject.encode(rows, list(range(len(rows)))).one_by_one())
    assert len(apart) == len(rows)
    for place, (own, one) in enumerate(zip(apart, rows, strict=True)):
        alone = subject.encode([one], [place])
        assert all(torch.equal(found, wanted) for found, wanted in zip(own.tensors(), alone.tensors(), strict=True))


def test_a_thousand_full_histories_take_less_than_half_a_second():
    ids = [f"item-{index}" for index in range(3416)]
    picks = np.random.default_rng(0).integers(0, len(ids), (1000, 200))
    rows = []
    for pick in picks:
        items = tuple(ids[index] for index in pick)
        rows.append(
            FeatureRow("u", items, tuple(range(200)), (1.0,) * 200, items, event_count=200, profile={"age": 1.0})
        )
    subject = ContextEncoder(ids, ProfileEncoding.fit([{"age": 1.0}], {"age": "numeric"}))
    started = time.perf_counter()
    subject.encode(rows)
    assert time.perf_counter() - started < 0.5
