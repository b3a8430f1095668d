"""What heads learn from: next items with nothing of them, or of what follows, in their contexts."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from recsys.context.sequences import Sequences
from recsys.experts.body import BodyConfig, BodyExpert, SequenceEncoder
from recsys.experts.popularity import PopularityExpert
from recsys.model.scoring import ScoringNetwork
from recsys.training.targets import Targets, held_out_targets, prepare

N_ITEMS, KEEPS = 9, (1, 3)


def lengths_only(lengths: list[int]) -> Sequences:
    total = sum(lengths)
    return Sequences(
        tuple(map(str, range(len(lengths)))),
        np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        np.ones(total, np.int64),
        np.zeros(total, np.int64),
        np.ones(total, np.float32),
    )


def last(sequences: Sequences, per_user) -> np.ndarray:
    """(events,) bool: each user's last so many."""
    left = sequences.lengths[sequences.owners] - sequences.positions
    return left <= np.asarray(per_user)[sequences.owners]


@given(st.lists(st.integers(0, 9), min_size=1, max_size=8), st.integers(1, 5), st.integers(0, 1000))
def test_targets_are_the_last_events_of_each_user_each_once(lengths: list[int], most: int, seed: int):
    per_user = np.minimum(np.maximum(np.array(lengths) - 1, 0), most)
    sequences = lengths_only(lengths)
    targets = held_out_targets(sequences, last(sequences, per_user), 1_000, np.random.default_rng(seed), KEEPS, 0.5)
    found = sorted(zip(targets.users.tolist(), targets.lengths.tolist(), strict=True))
    assert found == [(u, n) for u, length in enumerate(lengths) for n in range(length - per_user[u], length)]
    assert (targets.lengths >= 1).all()
    assert (targets.keep <= targets.lengths).all()
    assert (np.isin(targets.keep, KEEPS) | (targets.keep == targets.lengths)).all()


@pytest.mark.parametrize("share", [0.0, 0.3, 0.5])
def test_that_share_of_the_targets_shows_a_shortened_history(share):
    sequences = lengths_only([101] * 40)
    targets = held_out_targets(sequences, last(sequences, [90] * 40), 10_000, np.random.default_rng(0), KEEPS, share)
    shortened = targets.keep < targets.lengths
    assert shortened.mean() == pytest.approx(share, abs=0.04)
    assert set(targets.keep[shortened]) == (set(KEEPS) if share else set())
    assert np.array_equal(targets.complete, ~shortened)


def test_with_baskets_each_item_of_one_is_a_target_with_what_came_before_the_basket(make_sequences):
    own = make_sequences([1, 2, 3, 4, 5], [6, 7], [8, 9])
    days = np.array([1, 1, 2, 2, 3, 1, 1, 1, 2])
    baskets = replace(own, times=days, baskets=True)
    targets = held_out_targets(baskets, last(baskets, [4, 1, 1]), 99, np.random.default_rng(0), KEEPS, 0.0)
    found = list(zip(targets.users.tolist(), targets.items.tolist(), targets.lengths.tolist(), strict=True))
    assert found == [(0, 3, 2), (0, 4, 2), (0, 5, 4), (2, 9, 1)], "no target in a first basket"


def test_no_more_targets_than_the_limit_and_none_of_users_without_any():
    sequences = lengths_only([10, 10, 10])
    targets = held_out_targets(sequences, last(sequences, [5, 0, 5]), 7, np.random.default_rng(0), KEEPS, 0.5)
    assert len(targets) == 7
    assert set(targets.users) == {0, 2}
    assert len(set(zip(targets.users, targets.lengths, strict=True))) == 7


@pytest.fixture
def network() -> ScoringNetwork:
    torch.manual_seed(0)
    items = torch.randn(N_ITEMS + 1, 8)
    items[0] = 0
    body = BodyExpert(SequenceEncoder(BodyConfig(width=8, heads=1, layers=1, length=5)), items)
    others = {"popularity": PopularityExpert(torch.rand(N_ITEMS))}
    return ScoringNetwork(body, others, torch.ones(2), torch.zeros(2, 8, 1))


def prepared(network, sequences, targets, *, repeats=False):
    return prepare(
        network,
        sequences,
        targets,
        np.zeros((len(sequences), 0), np.float32),
        history_length=5,
        clock=True,
        repeats=repeats,
    )


def at(sequences, users, lengths, keep=None) -> Targets:
    """The items right after each user's first `lengths` events."""
    users, lengths = np.array(users), np.array(lengths)
    items = sequences.items[sequences.offsets[users] + lengths]
    return Targets(users, items, lengths, lengths if keep is None else np.array(keep))


def test_the_target_is_the_event_after_the_known_ones(network, make_sequences):
    sequences = make_sequences([1, 2, 3], [4, 5, 6, 7])
    found = prepared(network, sequences, at(sequences, [0, 1, 1], [2, 1, 3]))
    assert (found.items + 1).tolist() == [3, 5, 7]
    masked = [[int(item) + 1 for item in row.nonzero()] for row in found.masked]
    assert masked == [[1, 2], [4], [4, 5, 6]]


def test_target_and_later_events_change_nothing_that_is_read_before_them(network, make_sequences):
    first, second = make_sequences([1, 2, 3, 4, 5]), make_sequences([1, 2, 9, 8, 7])
    one = prepared(network, first, at(first, [0], [2]))
    other = prepared(network, second, at(second, [0], [2]))
    assert torch.equal(one.scores, other.scores)
    assert torch.equal(one.states, other.states)
    assert torch.equal(one.statistics, other.statistics)
    assert torch.equal(one.masked, other.masked)
    assert one.items.tolist() != other.items.tolist()


def test_dropped_history_is_neither_read_nor_masked(network, make_sequences):
    whole, tail = make_sequences([7, 8, 3, 4, 5]), make_sequences([3, 4, 5])
    dropped = prepared(network, whole, at(whole, [0], [4], keep=[2]))
    short = prepared(network, tail, at(tail, [0], [2]))
    torch.testing.assert_close(dropped.scores, short.scores)
    torch.testing.assert_close(dropped.statistics, short.statistics)
    assert torch.equal(dropped.masked, short.masked)


def test_a_repeated_item_can_be_a_target_and_is_never_masked(network, make_sequences):
    sequences = make_sequences([1, 2, 1])
    once = prepared(network, sequences, at(sequences, [0], [2]))
    assert not bool(once.masked[0, once.items[0]])
    assert bool(once.masked[0, 1])
    assert not prepared(network, sequences, at(sequences, [0], [2]), repeats=True).masked.any()


def test_a_target_is_not_compared_with_the_rest_of_its_basket(network, make_sequences):
    plain = make_sequences([1, 2, 3, 4, 2])
    sequences = replace(plain, baskets=True, times=np.array([0, 1, 1, 1, 2]))
    found = prepared(network, sequences, at(sequences, [0, 0], [1, 4]), repeats=True)
    assert found.masked.nonzero().tolist() == [[0, 2], [0, 3]]  # of the basket 2, 3, 4 the target is 2


def test_blocks_make_no_difference(network, make_sequences):
    rng = np.random.default_rng(3)
    sequences = make_sequences(*(rng.integers(1, N_ITEMS + 1, 6).tolist() for _ in range(150)))
    users = np.repeat(np.arange(150), 2)
    many = prepared(network, sequences, at(sequences, users, np.tile([2, 5], 150)))
    assert len(many) == 300
    for row in (0, 255, 256, 299):
        [user, length] = [int(users[row]), [2, 5][row % 2]]
        alone = prepared(network, sequences, at(sequences, [user], [length]))
        torch.testing.assert_close(many.scores[row : row + 1], alone.scores, atol=2e-3, rtol=2e-3)
        assert torch.equal(many.items[row : row + 1], alone.items)


def test_of_a_large_basket_only_some_items_are_targets(make_sequences):
    own = make_sequences([1, 2, 3, 4, 5, 6, 7], [6, 7, 8])
    baskets = replace(own, times=np.array([1, 2, 2, 2, 2, 3, 3, 1, 2, 2]), baskets=True)
    found = set()
    for seed in range(20):
        rng = np.random.default_rng(seed)
        targets = held_out_targets(baskets, last(baskets, [6, 2]), 99, rng, KEEPS, 0.0, per_basket=2)
        assert sorted(zip(targets.users.tolist(), targets.lengths.tolist(), strict=True)) == [
            (0, 1), (0, 1), (0, 5), (0, 5), (1, 1), (1, 1),
        ]  # fmt: skip
        found |= {item for item, user, known in zip(targets.items, targets.users, targets.lengths, strict=True)
                  if (user, known) == (0, 1)}  # fmt: skip
    assert found == {2, 3, 4, 5}, "drawn at random"
