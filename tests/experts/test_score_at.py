"""Experts say of some columns what they say of them among all."""

from __future__ import annotations

import pytest
import torch

from recsys.experts.content import ContentExpert
from recsys.experts.habit import HabitConfig, HabitExpert
from recsys.experts.long_term import LongTermMemory
from recsys.experts.memory import SequenceMemory
from recsys.experts.novelty import NoveltyExpert
from recsys.experts.popularity import PopularityExpert
from recsys.experts.repeat import RepeatConfig, RepeatExpert
from recsys.experts.top_weights import TopWeights

N = 9


def _weights(blocks: int) -> torch.Tensor:
    torch.manual_seed(3)
    weights = torch.randn(blocks, N + 1, N)
    weights[:, 0] = 0
    return weights


EXPERTS = (
    SequenceMemory(_weights(2), [0.5, 0.9], [2, 5]),
    SequenceMemory(TopWeights.of(_weights(2), 3), [0.5, 0.9], [2, 5]),
    LongTermMemory(_weights(1)[0], 0.9),
    LongTermMemory(_weights(1)[0], 1.0),
    ContentExpert((_weights(1)[0, :, :4] > 0).float(), torch.randn(4, N), 0.8, 3),
    PopularityExpert(torch.randn(N)),
    NoveltyExpert(N),
    RepeatExpert(N, RepeatConfig(age="events")),
    HabitExpert(torch.randn(3), torch.randn(N), torch.tensor(-1.0), HabitConfig(half_lives=(2.0,), age="events")),
)


@pytest.mark.parametrize("expert", EXPERTS, ids=[f"{n}-{own.kind}" for n, own in enumerate(EXPERTS)])
@pytest.mark.parametrize("history", [[1, 2, 9, 3, 2], [5], []])
@pytest.mark.parametrize("columns", [[0, 1, 4, 8], [3], list(range(N)), [7, 2, 2, 0], []])
def test_some_columns_are_scored_as_among_all(contexts, expert, history, columns):
    context, at = contexts(history), torch.tensor(columns, dtype=torch.int64)
    torch.testing.assert_close(expert.score_at(context, at), expert.score(context)[:, at])
