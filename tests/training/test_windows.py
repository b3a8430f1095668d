"""Windows make every event a target once; shards are disjoint, complete and read back as written."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.context.sequences import Sequences
from recsys.training.windows import body_windows, read_shard, write_shards


def numbered(lengths: list[int]) -> Sequences:
    """Every event is an item of its own, numbered from 1 on."""
    total = sum(lengths)
    return Sequences(
        tuple(map(str, range(len(lengths)))),
        np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        np.arange(1, total + 1, dtype=np.int64),
        np.zeros(total, np.int64),
        np.ones(total, np.float32),
    )


@given(st.lists(st.integers(0, 30), max_size=6), st.integers(2, 8))
def test_every_event_but_a_users_first_is_a_target_once_with_what_came_before_it(lengths: list[int], length: int):
    sequences = numbered(lengths)
    windows = body_windows(sequences, length)
    assert all(2 <= len(window) <= length + 1 for window in windows)
    assert all((np.diff(window) == 1).all() for window in windows)
    targets = sorted(int(item) for window in windows for item in window[1:])
    firsts = {int(start) + 1 for start in sequences.offsets[:-1]}
    assert targets == [item for item in range(1, sum(lengths) + 1) if item not in firsts]


def test_no_window_crosses_from_one_user_to_the_next():
    windows = body_windows(numbered([4, 3]), 2)
    assert sorted(window.tolist() for window in windows) == [[1, 2], [2, 3, 4], [5, 6, 7]]


def test_the_newest_window_is_the_full_one():
    assert [window.tolist() for window in body_windows(numbered([6]), 4)] == [[2, 3, 4, 5, 6], [1, 2]]


@given(st.lists(st.integers(2, 9), min_size=1, max_size=12), st.integers(1, 5))
def test_shards_are_disjoint_and_complete(tmp_path_factory, lengths: list[int], workers: int):
    folder = tmp_path_factory.mktemp("shards")
    windows = body_windows(numbered(lengths), 4)
    paths = write_shards(windows, folder, workers)
    assert len(set(paths)) == workers
    shards = [read_shard(path, 4) for path in paths]
    assert all(shard.shape[1] == 5 and shard.dtype == np.int64 for shard in shards)
    found = sorted([item for item in row if item] for shard in shards for row in shard.tolist())
    assert found == sorted(window.tolist() for window in windows)
    assert max(map(len, shards)) - min(map(len, shards)) <= 1


def test_a_shard_is_left_aligned(tmp_path):
    [path] = write_shards([np.array([3, 1]), np.array([2, 2, 2])], tmp_path / "new", 1)
    assert read_shard(path, 3).tolist() == [[3, 1, 0, 0], [2, 2, 2, 0]]


def test_a_worker_without_a_window_reads_an_empty_shard(tmp_path):
    _, empty = write_shards([np.array([1, 2])], tmp_path, 2)
    assert read_shard(empty, 3).shape == (0, 4)


def test_a_window_too_long_for_the_body_is_refused(tmp_path):
    [path] = write_shards([np.array([1, 2, 3])], tmp_path, 1)
    with pytest.raises(IndexError):
        read_shard(path, 1)
