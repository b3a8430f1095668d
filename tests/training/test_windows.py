"""Windows make every event a target once; shards are disjoint, complete and read back as written; steps take each."""

import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from recsys.context.sequences import Sequences
from recsys.training.windows import (
    Windows,
    body_windows,
    dealt,
    ranks_of_an_epoch,
    read_shard,
    steps_of_an_epoch,
    write_shards,
)


def numbered(lengths: list[int]) -> Sequences:
    """Every event is an item of its own, numbered from 1 on, and was a thousand times as late."""
    total = sum(lengths)
    return Sequences(
        tuple(map(str, range(len(lengths)))),
        np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        np.arange(1, total + 1, dtype=np.int64),
        np.arange(1, total + 1, dtype=np.int64) * 1_000,
        np.ones(total, np.float32),
    )


def windows_of(*rows: list[int]) -> pl.DataFrame:
    types = {"items": pl.List(pl.Int64), "times": pl.List(pl.Int64)}
    return pl.DataFrame({"items": list(rows), "times": [[10 * item for item in row] for row in rows]}, schema=types)


def items_of(windows: Windows) -> list[list[int]]:
    return [[item for item in row if item] for row in windows.items.tolist()]


@given(st.lists(st.integers(0, 30), max_size=6), st.integers(2, 8))
def test_every_event_but_a_users_first_is_a_target_once_with_what_came_before_it(lengths: list[int], length: int):
    sequences = numbered(lengths)
    windows = body_windows(sequences, length)["items"].to_list()
    assert all(2 <= len(window) <= length + 1 for window in windows)
    assert all((np.diff(window) == 1).all() for window in windows)
    targets = sorted(item for window in windows for item in window[1:])
    firsts = {int(start) + 1 for start in sequences.offsets[:-1]}
    assert targets == [item for item in range(1, sum(lengths) + 1) if item not in firsts]


def test_no_window_crosses_from_one_user_to_the_next():
    assert sorted(body_windows(numbered([4, 3]), 2)["items"].to_list()) == [[1, 2], [2, 3, 4], [5, 6, 7]]


def test_the_newest_window_is_the_full_one():
    assert body_windows(numbered([6]), 4)["items"].to_list() == [[2, 3, 4, 5, 6], [1, 2]]


def test_times_go_with_their_events():
    windows = body_windows(numbered([6, 0, 1, 9]), 4)
    assert windows["times"].to_list() == [[1_000 * item for item in row] for row in windows["items"].to_list()]


def test_nobody_with_two_events_is_no_window():
    assert body_windows(numbered([1, 0, 1]), 4).is_empty()


@given(st.lists(st.integers(2, 9), min_size=1, max_size=12), st.integers(1, 5))
def test_shards_are_disjoint_and_complete(tmp_path_factory, lengths: list[int], workers: int):
    folder = tmp_path_factory.mktemp("shards")
    windows = body_windows(numbered(lengths), 4)
    paths = write_shards(windows, folder, workers)
    assert len(set(paths)) == workers
    shards = [read_shard(path, 4) for path in paths]
    assert all(shard.items.shape == shard.times.shape == (len(shard), 5) for shard in shards)
    assert all(torch.equal(shard.times, shard.items * 1_000) for shard in shards)
    assert sorted(row for shard in shards for row in items_of(shard)) == sorted(windows["items"].to_list())
    assert max(map(len, shards)) - min(map(len, shards)) <= 1


def test_shards_are_alike_in_length():
    """Everybody has a full window and a short one, one after the other, and there are two workers."""
    windows = body_windows(numbered([7] * 10), 4)
    shares = [share["items"].list.len().to_list() for share in dealt(windows, 2)]
    assert [sorted(share) for share in shares] == [[3] * 5 + [5] * 5] * 2


def test_one_worker_gets_the_windows_as_they_are():
    windows = body_windows(numbered([7, 3, 9]), 4)
    assert dealt(windows, 1)[0].equals(windows)


def test_a_shard_is_left_aligned_and_knows_its_lengths(tmp_path):
    [path] = write_shards(windows_of([3, 1], [2, 2, 2]), tmp_path / "new", 1)
    found = read_shard(path, 3)
    assert found.items.tolist() == [[3, 1, 0, 0], [2, 2, 2, 0]]
    assert found.times.tolist() == [[30, 10, 0, 0], [20, 20, 20, 0]]
    assert found.lengths.tolist() == [2, 3]


def test_a_worker_without_a_window_reads_an_empty_shard(tmp_path):
    _, empty = write_shards(windows_of([1, 2]), tmp_path, 2)
    assert read_shard(empty, 3).items.shape == (0, 4)


def test_a_window_too_long_for_the_body_is_refused(tmp_path):
    [path] = write_shards(windows_of([1, 2, 3]), tmp_path, 1)
    with pytest.raises(IndexError):
        read_shard(path, 1)


def steps_of(lengths: list[int], events: int, steps: int, seed: int = 0) -> list[list[int]]:
    generator = torch.Generator().manual_seed(seed)
    ranks = ranks_of_an_epoch(steps, seed)
    return [step.tolist() for step in steps_of_an_epoch(torch.tensor(lengths), events, ranks, generator)]


@given(st.lists(st.integers(2, 40), min_size=1, max_size=40), st.integers(40, 90), st.integers(0, 99))
def test_an_epoch_of_one_worker_takes_every_window_once_or_again_only_when_all_were(lengths, events, seed):
    steps = -(-sum(lengths) // events)
    found = steps_of(lengths, events, steps, seed)
    assert len(found) == steps
    assert {row for step in found for row in step} == set(range(len(lengths)))
    distinct = {tuple(step) for step in found}
    assert sum(map(len, distinct)) == len(lengths), "no window is in two different steps"
    assert all(sum(lengths[row] for row in step) < events + max(lengths) for step in found)


def test_when_the_steps_match_every_window_is_taken_exactly_once():
    found = steps_of([10] * 30, 50, 6)
    assert sorted(row for step in found for row in step) == list(range(30))
    assert [len(step) for step in found] == [5] * 6


def test_windows_of_like_length_share_a_step():
    lengths = [5, 200] * 50
    found = steps_of(lengths, 1_000, 11)
    mixed = [step for step in found if len({lengths[row] for row in step}) > 1]
    assert len(mixed) <= 1, "but for the step where the short ones end"
    sizes = sorted(map(len, found))
    assert sizes[-1] >= 50, "all the short ones fit one step"
    assert sizes[-2] <= 6


def test_a_worker_with_less_to_do_makes_as_many_steps_and_repeats_itself_evenly():
    found = steps_of([10] * 6, 20, 7)
    assert len(found) == 7
    counts = [sum(row in step for step in found) for row in range(6)]
    assert set(counts) == {2, 3}


def test_a_worker_with_more_to_do_leaves_steps_over_and_no_window_is_always_left():
    generator, seen = torch.Generator().manual_seed(0), set()
    for epoch in range(20):
        found = steps_of_an_epoch(torch.full((8,), 10), 20, ranks_of_an_epoch(3, epoch), generator)
        rows = torch.cat(found).tolist()
        assert len(set(rows)) == len(rows) == 6
        seen.update(rows)
    assert seen == set(range(8))


def test_the_order_is_another_in_every_epoch_and_the_same_for_one_seed():
    lengths = list(range(2, 60))
    assert steps_of(lengths, 100, 18, seed=1) == steps_of(lengths, 100, 18, seed=1)
    generator, ranks = torch.Generator().manual_seed(1), ranks_of_an_epoch(18, 1)
    first, second = (steps_of_an_epoch(torch.tensor(lengths), 100, ranks, generator) for _ in range(2))
    assert [step.tolist() for step in first] != [step.tolist() for step in second], "other windows side by side"
    assert not torch.equal(ranks_of_an_epoch(18, 1), ranks_of_an_epoch(18, 2))


@given(st.integers(0, 99), st.integers(1, 60))
def test_every_step_has_a_rank_of_its_own(seed, steps):
    ranks = ranks_of_an_epoch(steps, seed)
    assert float(ranks.min()) >= 0
    assert float(ranks.max()) < 1
    assert sorted((ranks * steps).floor().tolist()) == list(range(steps))


def test_all_workers_take_windows_of_like_length_at_the_same_time():
    ranks, own = ranks_of_an_epoch(40, 3), torch.randint(2, 200, (600,), generator=torch.Generator().manual_seed(0))
    longest = []
    for rank in range(2):
        lengths = own[rank::2]
        taken = steps_of_an_epoch(lengths, 800, ranks, torch.Generator().manual_seed(rank))
        longest.append(torch.stack([lengths[rows].max() for rows in taken]))
    apart = (longest[0] - longest[1]).abs()
    assert int(apart.max()) <= 40, "twice the noise by which windows change places"
    assert float(torch.stack(longest).float().std()) > 40, "steps themselves differ by more"
