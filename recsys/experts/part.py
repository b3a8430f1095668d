"""A context in the numbers of some of the items: what experts need who only ask which items a user has events of."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from recsys.context.batch import ContextBatch


@dataclass(frozen=True, slots=True)
class Part:
    """A smaller vocabulary with all that a context knows, and the context in its numbers.

    Attributes:
        context: item index p + 1 is the item of `columns[p]`.
        columns: (part,) int64 score columns of the whole vocabulary, ascending: those asked for, and the context's own.
        places: (asked,) int64 where in `columns` those asked for are.
    """

    context: ContextBatch
    columns: Tensor
    places: Tensor


def part_of(context: ContextBatch, columns: Tensor) -> Part:
    """The part of the vocabulary that consists of these columns and of the context's items.

    Args:
        context: a batch of any size.
        columns: (asked,) int64 score columns.
    """
    known = context.history[context.history > 0]
    own = torch.unique(torch.cat([columns, known - 1, context.seen - 1]))
    history = torch.where(context.history > 0, torch.searchsorted(own, context.history - 1) + 1, 0)
    seen = torch.searchsorted(own, context.seen - 1) + 1
    return Part(replace(context, history=history, seen=seen), own, torch.searchsorted(own, columns))
