"""Novelty: what the user never touched."""

from dataclasses import replace

import numpy as np
import torch

from recsys.context.sequences import Sequences, prefix_contexts
from recsys.experts.novelty import NoveltyExpert


def test_items_that_were_touched_are_not_new():
    own = Sequences(("a", "b"), np.array([0, 3, 3]), np.array([2, 4, 2]), np.arange(3), np.ones(3, np.float32))
    context = prefix_contexts(own, np.arange(2), own.lengths, np.zeros((2, 0), np.float32), history_length=2)
    expert = NoveltyExpert(4)
    assert expert.score(context).tolist() == [[1, 0, 1, 0], [1, 1, 1, 1]]
    touched = replace(
        context,
        seen=torch.cat([context.seen, torch.tensor([1])]),
        seen_offsets=torch.tensor([0, 2, 3]),
        seen_counts=torch.cat([context.seen_counts, torch.tensor([0])]),
        seen_last=torch.cat([context.seen_last, torch.tensor([0])]),
    )
    assert expert.score(touched).tolist() == [[1, 0, 1, 0], [1, 1, 1, 1]], "without a positive event it is new"
    again = NoveltyExpert.rebuild(expert.settings(), expert.tensors())
    assert torch.equal(again.score(context), expert.score(context))
