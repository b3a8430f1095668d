"""Weights in blocks of columns sum up to what they sum up to in one piece, to the last bit."""

import pytest
import torch

from recsys.experts.column_blocks import ColumnBlocks
from recsys.experts.linear import decayed_sum
from recsys.experts.long_term import LongTermMemory
from recsys.experts.memory import SequenceMemory

HISTORIES = ([3, 1, 4, 1, 5], [], [2], [5, 5, 5, 9, 2, 6, 5, 3, 5])


def weights(histories: int, n_items: int) -> torch.Tensor:
    drawn = torch.randn(histories, n_items + 1, n_items, generator=torch.Generator().manual_seed(n_items))
    drawn[:, 0] = 0
    return drawn


@pytest.mark.parametrize("n_items", [9, 128, 129, 300])
def test_sums_are_those_of_the_weights_in_one_piece(contexts, n_items):
    dense, history = weights(2, n_items), contexts(*HISTORIES).history
    blocks = ColumnBlocks.of(dense)
    assert torch.equal(blocks.dense(), dense)
    for which in (0, 1):
        assert torch.equal(blocks.decayed_sum(which, history, 0.8), decayed_sum(dense[which], history, 0.8))


def test_nobody_and_nothing_seen_score_zero(contexts):
    blocks = ColumnBlocks.of(weights(1, 9))
    assert blocks.decayed_sum(0, contexts().history, 0.5).shape == (0, 9)
    assert not blocks.decayed_sum(0, contexts([], []).history, 0.5).any()


@pytest.mark.parametrize(
    "memory",
    [
        SequenceMemory(weights(2, 140), (0.5, 0.9), (2, 6)),
        LongTermMemory(weights(1, 140)[0], 0.9),
        LongTermMemory(weights(1, 140)[0], 1.0),
    ],
)
def test_a_memory_in_blocks_scores_the_same_and_is_kept_the_same(memory, contexts):
    blocked = memory.in_blocks()
    assert torch.equal(blocked.score(contexts(*HISTORIES)), memory.score(contexts(*HISTORIES)))
    assert blocked.settings() == memory.settings()
    assert torch.equal(blocked.tensors()["weights"], memory.tensors()["weights"])


@pytest.mark.parametrize(
    "memory", [SequenceMemory(weights(2, 140), (0.5, 0.9), (2, 6)), LongTermMemory(weights(1, 140)[0], 0.9)]
)
def test_a_memory_in_blocks_holds_them_alone_and_says_before_what_they_take(memory):
    blocked = memory.in_blocks()
    assert isinstance(blocked.weights, ColumnBlocks)
    assert blocked.weights.blocks.nbytes == memory.bytes_in_blocks > 0
    assert not any(isinstance(held, torch.Tensor) for held in vars(blocked).values())
    assert blocked.bytes_in_blocks == 0
    assert blocked.in_blocks().weights is blocked.weights


def test_a_memory_of_the_complete_history_is_not_cut():
    memory = LongTermMemory(weights(1, 140)[0], 1.0)
    assert memory.bytes_in_blocks == 0
    assert memory.in_blocks().weights is memory.weights
