"""Normal equations of decayed histories, some users at a time: what they take does not grow with the log."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil

import numpy as np
from scipy import sparse
from torch import Tensor

from recsys.context.sequences import Sequences
from recsys.experts.linear import decayed_prefixes, next_items, normal_equations

ENTRIES_AT_ONCE = 32_000_000
"""Of decayed histories that are multiplied at once."""
History = tuple[float, int]
"""Decay and window."""


def counted(
    sequences: Sequences,
    n_items: int,
    histories: Sequence[History],
    described: sparse.csr_matrix | None = None,
) -> tuple[Tensor, Tensor]:
    """XᵀDX and XᵀY over every prefix of every sequence.

    Args:
        sequences: the events.
        n_items: size of the vocabulary.
        histories: whose items' columns stand side by side in X.
        described: (n_items, n_attributes) float32; what the last history's items are comes as columns after those.

    Returns:
        (columns, columns) and (columns, n_items) float32.
    """
    entries = len(sequences.items) * sum(window for _, window in histories)
    total: tuple[Tensor, Tensor] | None = None
    for part in by_events(sequences, max(ceil(entries / ENTRIES_AT_ONCE), 1)) or [sequences]:
        gram, cross = normal_equations(stacked(part, n_items, histories, described), next_items(part, n_items))
        total = (gram, cross) if total is None else (total[0].add_(gram), total[1].add_(cross))
    assert total is not None
    return total


def stacked(
    sequences: Sequences, n_items: int, histories: Sequence[History], described: sparse.csr_matrix | None = None
) -> sparse.csr_matrix:
    """(prefixes, columns) X; arguments as for `counted`."""
    blocks = [decayed_prefixes(sequences, n_items, *history) for history in histories]
    if described is not None:
        blocks.append(blocks[-1] @ described)
    return sparse.hstack(blocks, format="csr")


def by_events(sequences: Sequences, parts: int) -> list[Sequences]:
    """Disjoint parts of whole users, in their order, of about as many events each; none is empty."""
    ends = sequences.offsets[1:]
    cuts = np.searchsorted(ends, np.arange(1, parts) * len(sequences.items) / parts) + 1
    users = np.split(np.arange(len(sequences)), np.unique(cuts))
    return [sequences.take(own) for own in users if len(own)]
